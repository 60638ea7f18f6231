import { type Ticket, type Tree, treeSchema } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { failureOf, notOurs, unreachable } from "./http.ts";

/** Lists a directory of a snapshot at the worker that holds it. */
export async function readTree(ticket: Ticket, path: string, signal?: AbortSignal): Promise<Tree> {
  const response = await ask(ticket, `/v1/tree?path=${encodeURIComponent(path)}`, signal);
  let value: unknown;
  try {
    value = await response.json();
  } catch {
    value = null;
  }
  const parsed = treeSchema.safeParse(value);
  if (!parsed.success) throw notOurs({ role: "worker", url: ticket.data_url }, response.status);
  return parsed.data;
}

/**
 * Streams what a download ticket stands for: a plain tar. A connection that breaks is an error, never the end of the stream.
 *
 * @throws UNAVAILABLE, CANCELLED, what the worker refuses.
 */
export async function* downloadTar(ticket: Ticket, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const response = await ask(ticket, "/v1/download", signal);
  if (!response.body) throw new XVaultError("UNAVAILABLE", "The worker sent nothing.");
  try {
    for await (const chunk of response.body) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  } catch (error) {
    if (signal.aborted) throw new XVaultError("CANCELLED", undefined, { cause: error });
    throw new XVaultError("UNAVAILABLE", "The connection to the worker broke in the middle of the download.", {
      fix: "Run it again with --overwrite if-changed: what is complete already stays.",
      cause: error,
    });
  }
}

async function ask(ticket: Ticket, path: string, signal?: AbortSignal): Promise<Response> {
  const peer = { role: "worker", url: ticket.data_url };
  try {
    const response = await fetch(`${ticket.data_url}${path}`, {
      headers: { authorization: `Bearer ${ticket.ticket}` },
      redirect: "manual",
      ...(signal ? { signal } : {}),
    });
    if (response.status !== 200) throw await failureOf(response, peer);
    return response;
  } catch (error) {
    throw unreachable(error, peer, signal);
  }
}
