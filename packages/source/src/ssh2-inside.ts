import { KeyObject, createSecretKey } from "node:crypto";
import type { Socket } from "node:net";
import type { Channel, Client } from "ssh2";
import { type Decipher, GcmDecipher, type Intake } from "./packet-intake.ts";
import type { Throttle } from "./throttle.ts";

// The one place that touches ssh2's inside (version 1.17.0, pinned). `ssh2-inside.it.test.ts` notices when any of it stops working.

interface InnerChannel extends Channel {
  incoming: { id: number; window: number; state: string };
  outgoing: { id: number; state: string };
  _client: Client & { _protocol: { channelWindowAdjust(id: number, amount: number): void } };
}

const MIB = 1024 * 1024;

/** As much as a fast line brings in a millisecond. Bytes. */
const PER_MS = 150 * 1024;

/**
 * How many bytes a peer may have under way to us, for a link of this round trip: what fills the line, and not much more. OpenSSH takes from a
 * command as much as the window lets it, moves all of that again for each packet, and once took four times the processor for it.
 */
export function windowFor(roundTripMs: number): number {
  return Math.min(16 * MIB, 4 * MIB + Math.round(roundTripMs * PER_MS));
}

/**
 * ssh2 writes length, content and tag of every packet one by one; each would be a system call and a segment. What is written in one
 * turn of the event loop goes out together instead.
 */
export function gatherWrites(socket: Socket): void {
  const write = socket.write.bind(socket);
  let gathering = false;
  const gathered: (data: Uint8Array) => boolean = (data) => {
    if (!gathering) {
      gathering = true;
      socket.cork();
      process.nextTick(() => {
        gathering = false;
        socket.uncork();
      });
    }
    return write(data);
  };
  socket.write = gathered;
}

interface InnerProtocol {
  _protocol?: {
    _cipher?: { _encKey?: unknown };
    _decipher?: Decipher & { _decipherKey?: unknown; _decipherIV?: unknown; _decipherSSLName?: unknown };
  };
}

/**
 * ssh2 makes a cipher for every packet and hands it the key as bytes, of which Node makes a key object each time: most of the time that a
 * packet takes. Here it gets the object, and packets of AES-GCM are deciphered by us. To be called after each key exchange ('handshake').
 * False when there was nothing to replace.
 */
export function useFastCiphers(client: Client): boolean {
  const protocol = (client as InnerProtocol)._protocol;
  const { _cipher: cipher, _decipher: decipher } = protocol ?? {};
  if (!protocol || !(cipher?._encKey instanceof Uint8Array) || !(decipher?._decipherKey instanceof Uint8Array))
    return false;
  cipher._encKey = createSecretKey(cipher._encKey);
  const key = createSecretKey(decipher._decipherKey);
  decipher._decipherKey = key;
  const { inSeqno, _decipherIV: iv, _decipherSSLName: name } = decipher;
  if ((name === "aes-128-gcm" || name === "aes-256-gcm") && iv instanceof Buffer) {
    protocol._decipher = new GcmDecipher({ inSeqno, onPayload: decipher._onPayload, key, iv });
  }
  return cipher._encKey instanceof KeyObject;
}

/**
 * Hands on what a socket reads into one buffer of its own, where every read would otherwise take 64 KiB of memory that only the garbage
 * collector gives back. Only our own decipherer is known to keep nothing of what it is given: all others get a copy.
 */
export function handOn(client: Client, socket: Socket): (bytes: Buffer) => void {
  return (bytes) => {
    const keepsNothing = (client as InnerProtocol)._protocol?._decipher instanceof GcmDecipher;
    socket.emit("data", keepsNothing ? bytes : Buffer.from(bytes));
  };
}

/** Tells whether a channel's stream was ended while the link still held, which the peer alone does then. */
export function watchEnd(channel: Channel, holds: () => boolean): () => boolean {
  const push = channel.push.bind(channel);
  let ended = false;
  channel.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && holds()) ended = true;
    return push(chunk, encoding);
  };
  return () => ended;
}

/**
 * ssh2 gives a peer 2 MiB of credit a channel and tops it up at 1 MiB, so about 1 MiB moves per round trip. Here the credit follows the
 * link: the peer may send up to `wanted()` bytes that nobody has consumed yet, on the wire and in the stream's buffer together
 * (counting the buffer in is what bounds memory). A throttle gives less, and later; ssh2's own topping up is kept from then. With an intake,
 * what comes goes there instead of into the stream, which is left with the end alone. Returns a function to call after consuming, or null when
 * ssh2's inside is not as expected.
 */
export function widenWindow(
  channel: Channel,
  wanted: () => number,
  { throttle, intake }: { throttle: Throttle | null; intake: Intake | null },
): (() => void) | null {
  const inner = channel as InnerChannel;
  if (typeof inner.incoming?.window !== "number" || typeof inner.outgoing?.id !== "number") return null;
  if (typeof inner._client?._protocol?.channelWindowAdjust !== "function") return null;
  const adjust = inner._client._protocol.channelWindowAdjust.bind(inner._client._protocol);
  const grant = (credit: number) => {
    inner.incoming.window += credit;
    adjust(inner.outgoing.id, credit);
  };
  const topUp = () => {
    if (inner.outgoing.state !== "open" && inner.outgoing.state !== "eof") return;
    if (inner.incoming.state !== "open") return;
    const target = wanted();
    const room = target - inner.incoming.window - (intake?.held ?? inner.readableLength);
    if (!throttle) {
      if (room >= target / 8) grant(room);
      return;
    }
    const step = Math.min(target / 8, throttle.burst / 4);
    if (room < step) return;
    const credit = Math.floor(Math.min(room, throttle.left() - inner.incoming.window));
    if (credit >= step) grant(credit);
    // With more than that under way it is asked again when some of it has arrived.
    else if (inner.incoming.window + step <= throttle.burst) throttle.wait(inner.incoming.window + step, topUp);
  };
  const push = inner.push.bind(inner);
  inner.push = (chunk: unknown, encoding?: BufferEncoding) => {
    let more = false;
    // ssh2 takes 'no more' for a full stream and leaves the credit to us.
    if (intake && chunk instanceof Buffer) intake.push(chunk);
    else more = push(chunk, encoding);
    if (chunk instanceof Uint8Array) throttle?.spend(chunk.length);
    if (chunk !== null) topUp();
    return more;
  };
  if (throttle) refuseOwnCredit(inner, topUp);
  topUp();
  return topUp;
}

/** ssh2 itself tops a channel up to 2 MiB when less than 1 MiB is left; what it would grant is taken back before it is sent. */
function refuseOwnCredit(inner: InnerChannel, instead: () => void): void {
  const client = inner._client;
  const { outgoing, incoming } = inner;
  const before = client._protocol.channelWindowAdjust.bind(client._protocol);
  client._protocol.channelWindowAdjust = (id, amount) => {
    if (id !== outgoing.id || incoming.state === "closed") return before(id, amount);
    incoming.window -= amount;
    instead();
  };
}
