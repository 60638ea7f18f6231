import { isXVaultError } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { collect, runRemote } from "./remote-process.ts";
import type { Capabilities } from "./types.ts";

const PROBE =
  "(tar --version | head -n 1; find --version | head -n 1; command -v xargs && command -v readlink && echo tools-found) 2>/dev/null; true";
const PROBE_MS = 20_000;

/** Asks the host what it offers. A host whose login runs something else than a shell (SFTP only, a menu) counts as without one. */
export async function probeCapabilities(link: Link, sftp: boolean, signal?: AbortSignal): Promise<Capabilities> {
  const said = await probeShell(link, signal);
  const shell = said !== null;
  const gnuTar = /tar \(GNU tar\)/.test(said ?? "");
  const gnuFind = /find \(GNU findutils\)/.test(said ?? "") && /tools-found/.test(said ?? "");
  return { shell, gnuTar, gnuFind, sftp, transport: gnuTar && gnuFind ? "tar" : "sftp" };
}

async function probeShell(link: Link, signal?: AbortSignal): Promise<string | null> {
  const patience = AbortSignal.timeout(PROBE_MS);
  try {
    const process = await runRemote(link, PROBE, {
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
