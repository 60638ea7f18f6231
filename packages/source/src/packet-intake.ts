import { createDecipheriv, type KeyObject } from "node:crypto";
import { lend } from "@xvault/kernel";

const LENGTH = 4;
const TAG = 16;
const BLOCK = 16;
/** The longest packet that ssh2 takes. */
const MAX_PACKET = 35_000;

/** What ssh2's protocol asks of the object that deciphers what comes in. */
export interface Decipher {
  inSeqno: number;
  free(): void;
  /** Takes bytes from `at` up to `end`; undefined when all are taken, else where it stopped because a packet changed the state. */
  decrypt(data: Uint8Array, at: number, end: number): number | undefined;
  _onPayload: (payload: Buffer) => unknown;
}

/**
 * Deciphers packets of aes-gcm@openssh.com (RFC 5647) in place of ssh2's own: a packet in one call, and not each part of it that a read from
 * the socket happened to bring into memory of its own. Nothing of `data` is kept. A packet that was tampered with throws before any byte of it
 * is passed on.
 */
export class GcmDecipher implements Decipher {
  inSeqno: number;
  _onPayload: (payload: Buffer) => unknown;
  readonly #algorithm: "aes-128-gcm" | "aes-256-gcm";
  readonly #key: KeyObject;
  readonly #iv: Buffer;
  /** A packet that has not arrived whole, its length in front and its tag behind. */
  readonly #partial = Buffer.allocUnsafeSlow(LENGTH + MAX_PACKET + TAG);
  #held = 0;

  constructor(from: { inSeqno: number; onPayload: (payload: Buffer) => unknown; key: KeyObject; iv: Buffer }) {
    this.inSeqno = from.inSeqno;
    this._onPayload = from.onPayload;
    this.#algorithm = from.key.symmetricKeySize === 16 ? "aes-128-gcm" : "aes-256-gcm";
    this.#key = from.key;
    this.#iv = Buffer.from(from.iv);
  }

  free(): void {
    this.#partial.fill(0);
  }

  decrypt(data: Uint8Array, at: number, end: number): number | undefined {
    let from = at;
    while (from < end) {
      let packet: Uint8Array | null = null;
      if (this.#held === 0 && end - from >= LENGTH) {
        const size = sizeOf(data, from);
        if (end - from >= size) {
          packet = data.subarray(from, from + size);
          from += size;
        }
      }
      if (!packet) {
        const wanted = this.#held < LENGTH ? LENGTH : sizeOf(this.#partial, 0);
        const taken = Math.min(wanted - this.#held, end - from);
        this.#partial.set(data.subarray(from, from + taken), this.#held);
        this.#held += taken;
        from += taken;
        if (this.#held < wanted || wanted === LENGTH) continue;
        packet = this.#partial.subarray(0, this.#held);
        this.#held = 0;
      }
      const answer = this._onPayload(this.#open(packet));
      if (answer !== undefined) return answer === false ? from : (answer as number);
    }
    return undefined;
  }

  /** The payload of a whole packet. */
  #open(packet: Uint8Array): Buffer {
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#iv);
    decipher.setAAD(packet.subarray(0, LENGTH));
    const plain = lend(decipher.update(packet.subarray(LENGTH, packet.length - TAG)));
    decipher.setAuthTag(packet.subarray(packet.length - TAG));
    decipher.final();
    this.inSeqno = (this.inSeqno + 1) >>> 0;
    // The last eight bytes count the packets.
    for (let at = 11; at >= 4; at -= 1) {
      const next = ((this.#iv[at] ?? 0) + 1) & 0xff;
      this.#iv[at] = next;
      if (next !== 0) break;
    }
    const padding = plain[0] ?? 0;
    if (padding >= plain.length) throw new Error("Bad packet padding");
    return plain.subarray(1, plain.length - padding);
  }
}

/** Bytes of a packet with its length and its tag, from its first four. */
function sizeOf(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  if (length < BLOCK || length % BLOCK !== 0 || length + LENGTH + TAG > MAX_PACKET)
    throw new Error("Bad packet length");
  return LENGTH + length + TAG;
}

/** What a channel has received and nobody has taken: packet by packet as they came. ssh2's stream would join them, which copies every byte. */
export class Intake {
  readonly #packets: Buffer[] = [];
  #first = 0;
  /** Bytes held. */
  held = 0;
  /** Called when there is something to take again. */
  onMore: () => void = () => {};

  push(packet: Buffer): void {
    this.#packets.push(packet);
    this.held += packet.length;
    this.onMore();
  }

  take(): Buffer | null {
    const packet = this.#packets[this.#first];
    if (!packet) return null;
    this.#first += 1;
    this.held -= packet.length;
    if (this.#first === this.#packets.length) {
      this.#packets.length = 0;
      this.#first = 0;
    } else if (this.#first === 256) {
      this.#packets.splice(0, 256);
      this.#first = 0;
    }
    return packet;
  }
}
