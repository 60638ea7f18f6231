import { resolve } from "node:path";
import type { RestoreQuote, Snapshot } from "@xvault/contracts";
import { quoteRestore } from "@xvault/engine";
import { formatBytes, shortId } from "@xvault/kernel";
import { type Call, command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { type HubApi, hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { downloadTar } from "../hub/worker-data.ts";
import { concludeRestored, type Restored, restoredLine, restoreHere, showWork } from "../live/local-work.ts";
import { quoteLines } from "../live/quote.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { readIdentityFile } from "../local/identity.ts";
import { openRemotely } from "../local/open-remotely.ts";
import { checkFresh, dryTarget, freeBytesAt, OVERWRITE_ARG } from "../local/target.ts";
import { findSnapshot, findSource } from "../names/find.ts";
import { parseInnerPath, parseSnapshotRef } from "../names/snapshot-ref.ts";
import { counted, type Output } from "../output.ts";
import { refuseCustomerHeld } from "./customer-held.ts";
import { statInTree } from "./tree.ts";

const ARGS = {
  snapshot: {
    type: "positional",
    description: "SNAPSHOT[:/path]: an id, its last digits, 'latest' or 'latest@SOURCE'",
  },
  target: {
    type: "string",
    required: true,
    valueHint: "dir",
    description: "Directory to restore to; with --to, one on that source",
  },
  include: { type: "string", valueHint: "path", description: "Another path in the snapshot; may be repeated" },
  overwrite: OVERWRITE_ARG,
  identity: {
    type: "string",
    valueHint: "file",
    description: "Decrypt here with this identity; it never leaves this machine",
  },
  "keep-going": {
    type: "boolean",
    description:
      "With --identity: leave out what is damaged or missing where the snapshot is stored, name it, and restore the rest",
  },
  to: { type: "string", valueHint: "source", description: "Restore to a source (its server) instead of this machine" },
  verify: {
    type: "boolean",
    description: "With --to: read every written file back on that server and compare it with the snapshot",
  },
  "dry-run": {
    type: "boolean",
    alias: "n",
    description: "Only tell what would be restored, how much is read and written, and whether there is room",
  },
  ...JSON_ARG,
} as const;

type RestoreCall = Call<typeof ARGS>;

export const restoreCommand = command({
  name: "restore",
  description: "Restore a snapshot, or a path in it, to this machine or to a source.",
  args: ARGS,
  examples: [
    "xvault restore latest@web-01 --target ./web-01",
    "xvault restore 1a2b3c4d:/etc/hosts --target ./out",
    "xvault restore latest@web-01 --include /etc --include /srv --target ./out --overwrite if-changed",
    "xvault restore 1a2b3c4d --identity key.txt --target ./out",
    "xvault restore 1a2b3c4d --identity key.txt --target ./out --overwrite if-changed --keep-going",
    "xvault restore 1a2b3c4d:/srv --to web-01 --target /srv/restored",
    "xvault restore 1a2b3c4d:/srv --to web-01 --target /srv/restored --dry-run",
  ],
  async act(call) {
    const { args, all, output, world, signal } = call;
    const ref = parseSnapshotRef(args.snapshot);
    const paths = [...(ref.path === "/" ? [] : [ref.path]), ...all("include").map(parseInnerPath)];
    if (args.to !== undefined && args.identity !== undefined) {
      throw new UsageError("--to restores on the platform's side; --identity here. Choose one.");
    }
    if (args["keep-going"] && args.identity === undefined) {
      throw new UsageError(
        "--keep-going needs --identity: what is decrypted elsewhere comes as one stream, which ends with the first damage.",
      );
    }
    // Restoring to a source is watched as a job, whose Ctrl-C still needs the hub.
    const api = hubApi(await openHub(world, args.to === undefined ? signal : undefined));
    const snapshot = await findSnapshot(api, ref);
    if (args.identity === undefined)
      refuseCustomerHeld(snapshot, `xvault restore ${snapshot.short_id} --identity FILE --target DIR`);
    if (snapshot.partial)
      output.warn("This snapshot is partial: some of the source could not be read when it was made.");
    if (args.to !== undefined) return restoreToSource(call, api, snapshot, paths);
    if (args["dry-run"] && args.identity !== undefined) return quotedHere(call, api, snapshot, paths);
    if (!args["dry-run"]) await checkFresh(resolve(args.target), args.overwrite);
    const started = Date.now();
    const outcome =
      args.identity === undefined
        ? await throughWorker(call, api, snapshot, paths)
        : await decryptedHere(call, api, snapshot, paths);
    return conclude(output, call, snapshot, outcome, started);
  },
});

async function restoreToSource(
  { args, output, world }: RestoreCall,
  api: HubApi,
  snapshot: Snapshot,
  paths: string[],
): Promise<number> {
  const source = await findSource(api, args.to ?? "");
  const wanted = {
    snapshot_id: snapshot.id,
    paths,
    target: { source_id: source.id, path: args.target },
    ...(args.overwrite ? { overwrite: args.overwrite } : {}),
  };
  if (args["dry-run"]) {
    const quote = await api.quoteRestore(wanted);
    const ids = { snapshot_id: snapshot.id, source_id: source.id, target: args.target };
    return showQuote(output, quote, ids, `${args.target} on ${source.name}`);
  }
  const job = await api.restore({ ...wanted, verify: args.verify === true });
  output.note(`Job ${shortId(job.id)} restores snapshot ${snapshot.short_id} to ${args.target} on ${source.name}.`);
  const done = await watchJob(world, output, api, job);
  const result = (done.result ?? {}) as Partial<Restored>;
  return concludeJob(output, done, {
    what: "The restore",
    ids: { snapshot_id: snapshot.id, source_id: source.id, target: args.target },
    text: () =>
      `${counted(result.written ?? 0, "entry", "entries")}, ${formatBytes(result.bytes ?? 0)} restored to ${args.target} on ${source.name}` +
      (result.skipped ? `, ${result.skipped} left as they were` : ""),
  });
}

/** Prints a quote. Ends as a failure where the target has not the room. */
function showQuote(output: Output, quote: RestoreQuote, ids: Record<string, string>, where: string): number {
  output.message("summary", { dry_run: true, ...ids, ...quote });
  for (const line of quoteLines(quote, where)) output.line(line);
  return quote.enough_space === false ? EXIT.failed : EXIT.ok;
}

/** The worker decrypts and sends a plain tar, which is unpacked under our own rules. */
async function throughWorker(call: RestoreCall, api: HubApi, snapshot: Snapshot, paths: string[]): Promise<Restored> {
  const { args, output, signal } = call;
  // Asked first: a path that is not there is better refused than found missing in the middle of a stream.
  const quote = await quoteFromTree(api, snapshot, paths);
  if (args["dry-run"]) {
    const free = await freeBytesAt(resolve(args.target));
    if (free !== null) {
      const isEnough = quote.total_bytes <= free;
      output.line(`${formatBytes(free)} is free in ${resolve(args.target)}: ${isEnough ? "enough" : "NOT ENOUGH"}.`);
    }
    return { written: quote.total_files, skipped: 0, bytes: quote.total_bytes, problems: 0, damaged: 0 };
  }
  const ticket = await api.downloadTicket(snapshot.id, { paths, format: "tar" });
  return restoreHere(call, hereOf(call), async (reporter) => {
    reporter.step("write", "Receiving and writing.");
    reporter.expect({ files: quote.total_files, bytes: quote.total_bytes });
    return { tar: downloadTar(ticket, signal) };
  });
}

/** The worker sends the sealed bytes; they are checked and decrypted here. */
async function decryptedHere(call: RestoreCall, api: HubApi, snapshot: Snapshot, paths: string[]): Promise<Restored> {
  const file = await readIdentityFile(call.args.identity ?? "");
  return restoreHere(call, hereOf(call), async (reporter) => {
    reporter.step("check", "Checking signature and hashes.");
    const { artifact } = await openRemotely(api, snapshot.id, file, call.signal);
    reporter.step("write", "Writing.");
    return { artifact, paths };
  });
}

function hereOf({ args }: RestoreCall): Parameters<typeof restoreHere>[1] {
  return { target: args.target, overwrite: args.overwrite, keepGoing: args["keep-going"] === true };
}

/** The same, only told: each entry, and what it comes to. */
async function quotedHere(
  { args, output, world, signal }: RestoreCall,
  api: HubApi,
  snapshot: Snapshot,
  paths: string[],
): Promise<number> {
  const file = await readIdentityFile(args.identity ?? "");
  const quote = await showWork(world, output, async (reporter) => {
    reporter.step("check", "Checking signature and hashes.");
    const { checked, artifact } = await openRemotely(api, snapshot.id, file, signal);
    const target = dryTarget(args.target, args.overwrite, (entry, outcome) => {
      const path = `/${entry.path.toString("utf8")}`;
      const action = outcome === "written" ? "restored" : "unchanged";
      output.message("verbose_status", { action, item: path, size: entry.size });
      output.line(`${outcome === "written" ? "restore" : "keep   "} ${path}`);
    });
    return quoteRestore({ checked, artifact, paths, target, reporter, signal });
  });
  const ids = { snapshot_id: snapshot.id, target: resolve(args.target) };
  return showQuote(output, quote, ids, resolve(args.target));
}

/** What a restore would bring, asked of the worker's listing: sums, not names. */
async function quoteFromTree(
  api: HubApi,
  snapshot: Snapshot,
  paths: string[],
): Promise<{ total_files: number; total_bytes: number }> {
  if (paths.length === 0) return { total_files: snapshot.files, total_bytes: snapshot.plain_bytes };
  const ticket = await api.browseTicket(snapshot.id);
  const quote = { total_files: 0, total_bytes: 0 };
  for (const path of paths) {
    const entry = await statInTree(ticket, path);
    quote.total_files += entry.type === "dir" ? (entry.files ?? 0) : 1;
    quote.total_bytes += entry.size;
  }
  return quote;
}

function conclude(
  output: Output,
  { args }: RestoreCall,
  snapshot: Snapshot,
  outcome: Restored,
  started: number,
): number {
  const isDry = args["dry-run"] === true;
  const target = resolve(args.target);
  output.message("summary", {
    ...(isDry ? { dry_run: true } : {}),
    snapshot_id: snapshot.id,
    target,
    files_restored: outcome.written,
    files_skipped: outcome.skipped,
    bytes_restored: outcome.bytes,
    problems: outcome.problems,
    damaged: outcome.damaged,
    total_duration: (Date.now() - started) / 1000,
  });
  // The sums that a dry run goes by are of files; what was written counts directories and links too.
  output.line(
    isDry
      ? `Would restore ${counted(outcome.written, "file")}, ${formatBytes(outcome.bytes)} to ${target}.`
      : restoredLine(outcome, target),
  );
  return concludeRestored(output, outcome);
}
