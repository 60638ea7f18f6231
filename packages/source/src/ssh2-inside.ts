import type { Channel, Client } from "ssh2";

/**
 * The one place that touches ssh2's inside (version 1.17.0, pinned). ssh2 gives a peer 2 MiB of credit a channel and tops it up at 1 MiB,
 * so about 1 MiB moves per round trip. Here the credit follows the link instead. `ssh2-inside.it.test.ts` notices when this stops working.
 */
interface InnerChannel extends Channel {
  incoming: { id: number; window: number; state: string };
  outgoing: { id: number; state: string };
  _client: Client & { _protocol: { channelWindowAdjust(id: number, amount: number): void } };
}

const MIB = 1024 * 1024;

/** How many bytes a peer may have under way to us, for a link of this round trip. */
export function windowFor(roundTripMs: number): number {
  return roundTripMs < 10 ? 8 * MIB : 32 * MIB;
}

/**
 * Lets the peer send up to `target` bytes that nobody has consumed yet, on the wire and in the stream's buffer together: counting the
 * buffer in is what bounds memory. Returns a function to call after consuming, or null when ssh2's inside is not as expected.
 */
export function widenWindow(channel: Channel, target: number): (() => void) | null {
  const inner = channel as InnerChannel;
  if (typeof inner.incoming?.window !== "number" || typeof inner.outgoing?.id !== "number") return null;
  if (typeof inner._client?._protocol?.channelWindowAdjust !== "function") return null;
  const topUp = () => {
    if (inner.outgoing.state !== "open" && inner.outgoing.state !== "eof") return;
    if (inner.incoming.state !== "open") return;
    const credit = target - inner.incoming.window - inner.readableLength;
    if (credit < target / 8) return;
    inner.incoming.window += credit;
    inner._client._protocol.channelWindowAdjust(inner.outgoing.id, credit);
  };
  const push = inner.push.bind(inner);
  inner.push = (chunk: unknown, encoding?: BufferEncoding) => {
    const more = push(chunk, encoding);
    if (chunk !== null) topUp();
    return more;
  };
  topUp();
  return topUp;
}
