import { packageTypeSchema } from "@xvault/contracts";
import type { Reporter } from "@xvault/engine";
import { formatBytes, isXVaultError, shortId, XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { type Call, command, JSON_ARG } from "../command.ts";
import { type HubApi, hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { showWork } from "../live/local-work.ts";
import { sendFile } from "../live/send-file.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";

const ARGS = {
  file: { type: "positional", description: "The file to send" },
  source: { type: "string", required: true, description: "Edge source that it is of; registered where it is new" },
  path: { type: "string", description: "What to call it in the snapshot (default: the file's name)" },
  type: { type: "enum", options: packageTypeSchema.options, description: "What it holds (default user_data)" },
  tier: { type: "enum", options: ["hot", "warm", "cold"], description: "Where it should live (default hot)" },
  resume: { type: "string", valueHint: "id", description: "Go on with a package that was announced before" },
  ...JSON_ARG,
} as const;

interface Facts {
  size: number;
  checksum: string;
}

export const sendPackageCommand = command({
  name: "send",
  description: "Send a file as a package: hashed here, sent straight to a worker, stored as a snapshot.",
  args: ARGS,
  examples: [
    "xvault package send backup.tar --source my-laptop",
    "xvault package send dump.sql.gz --source shop --path db/2026-11-28 --type business_data --tier warm",
    "xvault package send backup.tar --source my-laptop --resume 0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10",
  ],
  async act(call) {
    const { args, world, output, signal } = call;
    const api = hubApi(await openHub(world));
    const file = await openFile(args.file);
    try {
      const facts = await showWork(world, output, (reporter) => hashFile(file, reporter, signal));
      const id = await announce(api, call, facts);
      const about = { package_id: id, source_id: args.source, total_bytes: facts.size, checksum: facts.checksum };
      output.message("package", about);
      output.note(`Package ${shortId(id)}: ${formatBytes(facts.size)}, SHA-256 ${facts.checksum}.`);
      const { size } = facts;
      await showWork(world, output, (reporter) => {
        reporter.expect({ files: 1, bytes: size });
        reporter.step("send", "Sending.");
        return sendFile({ api, id, file, size, reporter, signal });
      }).catch((error: unknown) => {
        throw isXVaultError(error, "CANCELLED") ? leftBehind(args, id) : error;
      });
      const done = await watchJob(world, output, api, await api.job(id));
      return concludeJob(output, done, {
        what: "The package",
        ids: { ...about, snapshot_id: done.snapshot_id },
        text: ({ snapshot_id, result }) =>
          `package ${shortId(id)} stored: snapshot ${snapshot_id ? shortId(snapshot_id) : "?"}, ${formatBytes(size)}, ` +
          `stored ${formatBytes(Number(result?.["size_bytes"] ?? 0))}`,
      });
    } finally {
      await file.close();
    }
  },
});

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, "r");
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    throw new XVaultError("NOT_FOUND", `The file '${path}' cannot be read.`, {
      fix: "Check its name and rights.",
      cause,
    });
  }
  throw new XVaultError("INPUT_INVALID", `'${path}' is not a file.`, { fix: "Pack it first, with tar for example." });
}

async function hashFile(file: FileHandle, reporter: Reporter, signal: AbortSignal): Promise<Facts> {
  const { size } = await file.stat();
  reporter.expect({ files: 1, bytes: size });
  reporter.step("hash", "Hashing.");
  const hash = createHash("sha256");
  let read = 0;
  for await (const chunk of file.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    if (signal.aborted) throw new XVaultError("CANCELLED");
    hash.update(chunk);
    read += chunk.length;
    reporter.advance({ bytes: chunk.length });
  }
  return { size: read, checksum: hash.digest("hex") };
}

/** Announces the package, or finds the one to go on with. Gives its id. @throws CHECKSUM_MISMATCH where that was of another file */
async function announce(api: HubApi, { args }: Call<typeof ARGS>, { size, checksum }: Facts): Promise<string> {
  if (args.resume !== undefined) {
    const known = await api.package(args.resume);
    if (known.checksum !== null && known.checksum !== checksum) {
      throw new XVaultError(
        "CHECKSUM_MISMATCH",
        "The package was announced with another file, or the file has changed.",
      );
    }
    return known.id;
  }
  const { job_id } = await api.ingest({
    source_id: args.source,
    path: args.path ?? basename(args.file),
    size_bytes: size,
    checksum,
    ...(args.type ? { package_type: args.type } : {}),
    ...(args.tier ? { tier_hint: args.tier } : {}),
  });
  return job_id;
}

function leftBehind({ file, source }: Call<typeof ARGS>["args"], id: string): XVaultError {
  return new XVaultError("CANCELLED", "Stopped. The worker keeps what was sent for ten minutes.", {
    fix: `Go on with: xvault package send '${file}' --source '${source}' --resume ${id}`,
    data: { package_id: id },
  });
}
