import { XVaultError, formatBytes, toXVaultError } from "@xvault/kernel";
import { pathError } from "./browse.ts";
import { cleanPath } from "./selection.ts";
import { OPEN, kindOf } from "./sftp/packets.ts";
import type { SftpSession } from "./sftp/session.ts";
import type { Measure, PreflightCheck, SourceConnection } from "./types.ts";

/** The estimate of the size stops here, so that a test of a connection stays short. */
const ESTIMATE_MS = 8_000;
const ESTIMATE_ITEMS = 200_000;

/** A check that an error answered. */
export function failed(id: string, label: string, error: unknown): PreflightCheck {
  const known = toXVaultError(error);
  return { id, label, status: "failed", message: known.message, fix: known.fix };
}

/** The checks behind the login: tools, each path, size. */
export async function checkPaths(
  connection: SourceConnection,
  session: SftpSession | null,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<PreflightCheck[]> {
  const checks: PreflightCheck[] = [toolsCheck(connection)];
  const readable: string[] = [];
  for (const path of paths) {
    const check = session
      ? await pathCheck(session, path)
      : ({ id: `path:${path}`, label: path, status: "ok", message: "It is looked at when the backup runs." } as const);
    checks.push(check);
    if (check.status !== "failed") readable.push(path);
  }
  if (readable.length > 0) checks.push(await sizeCheck(connection, readable, signal));
  return checks;
}

function toolsCheck({ capabilities }: SourceConnection): PreflightCheck {
  const base = { id: "tools", label: "Tools" };
  if (!capabilities.sftp) {
    return {
      ...base,
      status: "warning",
      message: "The server has GNU tar and find, but no SFTP: browsing and restoring to it do not work.",
      fix: "Enable the SFTP subsystem in sshd_config.",
    };
  }
  const message =
    capabilities.transport === "tar"
      ? "GNU tar and find are there: the fastest way is used."
      : "Files are read over SFTP: hard links, holes and fractions of seconds are not seen.";
  return { ...base, status: "ok", message };
}

async function pathCheck(session: SftpSession, path: string): Promise<PreflightCheck> {
  const base = { id: `path:${path}`, label: path };
  try {
    const clean = cleanPath(path);
    const kind = kindOf(await session.stat(clean));
    if (kind === "dir") {
      await session.closeHandle(await session.opendir(clean));
      return { ...base, status: "ok", message: "The directory is readable." };
    }
    if (kind === "file") {
      await session.closeHandle(await session.open(clean, OPEN.READ));
      return { ...base, status: "ok", message: "The file is readable." };
    }
    return {
      ...base,
      status: "failed",
      message: "It is neither a file nor a directory.",
      fix: "Name a directory or a file.",
    };
  } catch (error) {
    return failed(base.id, base.label, pathError(error, path));
  }
}

async function sizeCheck(
  connection: SourceConnection,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<PreflightCheck> {
  const base = { id: "size", label: "Size" };
  const enough = AbortSignal.timeout(ESTIMATE_MS);
  const stop = new AbortController();
  const so: { far: Measure | null } = { far: null };
  const plan = { paths, excludes: [], oneFileSystem: false };
  const text = (sum: Measure) => `${sum.files.toLocaleString("en")} files, ${formatBytes(sum.bytes)}`;
  try {
    const sum = await connection.measure(
      plan,
      (sofar) => {
        so.far = sofar;
        if (sofar.files + sofar.dirs > ESTIMATE_ITEMS) stop.abort();
      },
      { signal: AbortSignal.any([enough, stop.signal, ...(signal ? [signal] : [])]) },
    );
    if (sum.problems > 0) {
      const problems = sum.problems === 1 ? "1 thing" : `${sum.problems.toLocaleString("en")} things`;
      return {
        ...base,
        status: "warning",
        message: `${text(sum)}; ${problems} in them cannot be read by this user and would be left out.`,
        fix: "Give the login user read access, or exclude those paths.",
      };
    }
    return { ...base, status: "ok", message: `${text(sum)}.` };
  } catch (error) {
    if (signal?.aborted) throw new XVaultError("CANCELLED");
    if (!enough.aborted && !stop.signal.aborted) throw error;
    return { ...base, status: "ok", message: so.far ? `More than ${text(so.far)}.` : "Large: counting was stopped." };
  }
}
