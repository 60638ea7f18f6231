import { parseTar } from "@xvault/archive";
import { bodyLength, type TreeTarget, XVaultError } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";

/** What a restore has done so far. */
export interface Done {
  written: number;
  skipped: number;
  /** Of what was written. */
  bytes: number;
  problems: number;
}

/** Writes the entries of a plain tar of a snapshot to a target, in their order. @throws what is wrong with the tar; what the target refuses */
export async function unpack(tar: AsyncIterable<Buffer>, target: TreeTarget, reporter: Reporter): Promise<Done> {
  const done: Done = { written: 0, skipped: 0, bytes: 0, problems: 0 };
  for await (const { entry, body } of parseTar(tar, { onSkipped: refuseStrange })) {
    const outcome = await target.put(entry, entry.type === "file" ? body : null);
    done[outcome] += 1;
    const bytes = bodyLength(entry);
    if (outcome === "written") done.bytes += bytes;
    reporter.advance({ files: entry.type === "file" ? 1 : 0, bytes, path: `/${entry.path.toString("utf8")}` });
  }
  return done;
}

/** Our own archives hold nothing but files, directories and links. */
function refuseStrange(path: Buffer): void {
  throw new XVaultError("ENTRY_TYPE_DENIED", undefined, { data: { path: path.toString("utf8") } });
}
