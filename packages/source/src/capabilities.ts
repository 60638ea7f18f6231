import { isXVaultError } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { collect, runRemote } from "./remote-process.ts";
import type { Capabilities, SourceClock } from "./types.ts";

/** The clock first, so that nothing else lies between asking and hearing. */
const PROBE =
  "(echo clock $(date +%s%N); tar --version | head -n 1; find --version | head -n 1; command -v xargs && command -v readlink && echo tools-found) 2>/dev/null; true";
const PROBE_MS = 20_000;

/** Asks the host what its shell offers. A host whose login runs something else than a shell (SFTP only, a menu) counts as without one. */
export async function probeShell(
  link: Link,
  signal?: AbortSignal,
): Promise<{ capabilities: Omit<Capabilities, "sftp">; clock: SourceClock | null }> {
  const asked = Date.now();
  const said = await ask(link, signal);
  const clock = readClock(said ?? "", asked, Date.now());
  const shell = said !== null;
  const gnuTar = /tar \(GNU tar\)/.test(said ?? "");
  const gnuFind = /find \(GNU findutils\)/.test(said ?? "") && /tools-found/.test(said ?? "");
  return { capabilities: { shell, gnuTar, gnuFind, transport: gnuTar && gnuFind ? "tar" : "sftp" }, clock };
}

/** Only GNU's date knows nanoseconds; others give whole seconds and perhaps a letter. */
function readClock(said: string, askedMs: number, heardMs: number): SourceClock | null {
  const [, seconds, fraction] = /^clock (\d{9,11}?)(\d{9})?[%N]*$/m.exec(said) ?? [];
  if (seconds === undefined) return null;
  const atNs = BigInt(seconds) * 1_000_000_000n + BigInt(fraction ?? 0);
  const coarseMs = fraction === undefined ? 1000 : 1;
  // Said somewhere between asking and hearing; whole seconds are rounded down.
  const skewMs = Number(atNs / 1_000_000n) + (coarseMs >> 1) - (askedMs + heardMs) / 2;
  return { atNs, skewMs, uncertaintyMs: (heardMs - askedMs) / 2 + coarseMs };
}

async function ask(link: Link, signal?: AbortSignal): Promise<string | null> {
  const patience = AbortSignal.timeout(PROBE_MS);
  try {
    const process = await runRemote(link, PROBE, {
      does: "tells what the server has",
      limitMs: () => PROBE_MS,
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    process.endInput(); // a forced SFTP server would wait for requests
    return (await collect(process, 64 * 1024)).toString();
  } catch (error) {
    if (signal?.aborted || link.lost) throw error;
    // Refused by the server, or answered by something that is no shell.
    if (error instanceof Error && !isXVaultError(error, "CONNECTION_LOST")) return null;
    return null;
  }
}
