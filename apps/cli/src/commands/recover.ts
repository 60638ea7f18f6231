import { basename, dirname, resolve } from "node:path";
import { verifyManifest, verifyTombstone } from "@xvault/crypto";
import { chainFindings, checkSnapshot, type FoundSnapshot, type FoundSnapshots } from "@xvault/engine";
import { formatBytes, isId, isXVaultError, shortId, XVaultError } from "@xvault/kernel";
import { type Call, command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { concludeRestored, restoredLine, restoreHere } from "../live/local-work.ts";
import { stockLines } from "../local/by-hand.ts";
import { checkRawKey } from "../local/raw-key.ts";
import { type IdentityFile, readIdentityFile, recipientsOf } from "../local/identity.ts";
import { checkFresh, OVERWRITE_ARG } from "../local/target.ts";
import { openStored, type Stored } from "../local/stored.ts";
import { fingerprintsOf, unsealWith } from "../local/unseal.ts";
import { parseInnerPath } from "../names/snapshot-ref.ts";
import { counted, type Output, table } from "../output.ts";

const ARGS = {
  from: {
    type: "string",
    required: true,
    valueHint: "place",
    description:
      "A storage's base, a source's or a snapshot's directory; s3://BUCKET[/PREFIX]; rclone:FILE, a remote described in a file",
  },
  endpoint: { type: "string", valueHint: "url", description: "Address of the bucket's server (default: AWS)" },
  region: { type: "string", description: "The bucket's region (default: us-east-1)" },
  "virtual-host": { type: "boolean", description: "The bucket stands in the host name; so it is for AWS" },
  "ca-file": { type: "string", valueHint: "file", description: "Certificates (PEM) to trust for this server" },
  identity: { type: "string", valueHint: "file", description: "Recovery kit, or any age identity file" },
  target: {
    type: "string",
    valueHint: "dir",
    description: "Where to restore to: a new or empty directory, unless --overwrite is given",
  },
  overwrite: OVERWRITE_ARG,
  "keep-going": {
    type: "boolean",
    description: "Leave out what is damaged or missing in the storage, name it, and restore the rest",
  },
  snapshot: { type: "string", description: "Which one: an id or its last digits (default: the newest)" },
  path: { type: "string", description: "Only this path in the snapshot and what is below it; may be repeated" },
  "root-key": {
    type: "string",
    description: "Root public key of the hub (base64), when the identity file has none; may be repeated",
  },
  "allow-unverified": { type: "boolean", description: "Restore without knowing who wrote the snapshot" },
  list: { type: "boolean", description: "Only list the snapshots that are there" },
  ...JSON_ARG,
} as const;

/** A storage that was copied in part has one at each end of what was copied; many say no more than some. */
const GAPS_TOLD = 5;
const NO_MANIFEST = "There is data without a manifest; its run did not end, or the manifest is lost";

export const recoverCommand = command({
  name: "recover",
  description:
    "Restore without the hub: from the stored files and the recovery kit alone. From a directory no network is used; of a bucket or remote, only what is needed is read. One that was interrupted is continued with --overwrite if-changed.",
  args: ARGS,
  examples: [
    "xvault recover --from /mnt/storage --list --identity recovery-kit.txt",
    "xvault recover --from /mnt/storage --identity recovery-kit.txt --target ./out",
    "xvault recover --from /mnt/storage --identity recovery-kit.txt --target ./out --overwrite if-changed",
    "xvault recover --from /mnt/damaged --identity recovery-kit.txt --target ./out --overwrite if-changed --keep-going",
    "xvault recover --from s3://acme/backups --endpoint https://s3.example.org --identity recovery-kit.txt --target ./out",
    "xvault recover --from ./snapshot-dir --identity key.txt --root-key BASE64 --target ./out --path /etc",
  ],
  async act(call) {
    const { args, world, signal } = call;
    const file = args.identity === undefined ? null : await readIdentityFile(args.identity);
    const bucket = { endpoint: args.endpoint, region: args.region, virtualHost: args["virtual-host"] };
    const stored = await openStored(world, args.from, { ...bucket, caFile: args["ca-file"] }, signal);
    try {
      return await act(call, stored, file);
    } finally {
      await stored.close();
    }
  },
});

async function act(call: Call<typeof ARGS>, { found, address }: Stored, file: IdentityFile | null): Promise<number> {
  const { args, all, output } = call;
  const rootKeys = [...(file?.rootKeys ?? []), ...all("root-key").map((key) => checkRawKey("root-key", key))];
  if (args.list) return list(output, found, file, rootKeys);
  if (args.identity === undefined || !file) throw new UsageError("--identity is missing.");
  if (args.target === undefined) throw new UsageError("--target is missing.");
  if (rootKeys.length === 0 && !args["allow-unverified"]) {
    throw new XVaultError("SIGNATURE_INVALID", "There is no root key, so nobody can say who wrote the snapshot.", {
      fix: "Give the recovery kit, or the hub's key with --root-key; or accept that with --allow-unverified.",
    });
  }
  const named = args.snapshot === "latest" ? undefined : args.snapshot;
  const ours = oursOf(found, await fingerprintsIn(file));
  const chosen = choose(found, ours, named, output);
  // Whoever names a snapshot, or its very directory, has not left it to the chain which one it is.
  const isNamed = named !== undefined || [resolve(args.from), args.from.replace(/\/+$/, "")].includes(chosen.directory);
  if (!isNamed) warnOfGaps(output, found, ours, chosen, rootKeys);
  return recover(call, { ...chosen, address, rootKeys, file, identityFile: args.identity, target: args.target });
}

interface Recovery extends FoundSnapshot {
  address: string | null;
  rootKeys: string[];
  file: IdentityFile;
  identityFile: string;
  target: string;
}

async function recover(call: Call<typeof ARGS>, from: Recovery): Promise<number> {
  const { args, all, output } = call;
  const paths = all("path").map(parseInnerPath);
  await checkFresh(resolve(from.target), args.overwrite).catch(tellHowToContinue);
  const isVerified = from.rootKeys.length > 0 && !args["allow-unverified"];
  output.note(
    `snapshot ${shortId(from.manifest.snapshot_id)} of ${from.manifest.created_at}, source ${shortId(from.manifest.source_id)}, in ${from.directory}`,
  );
  if (!isVerified)
    output.warn("The signature is not checked: whoever could write to the storage may have made this snapshot.");
  if (from.manifest.partial)
    output.warn("This snapshot is partial: some of the source could not be read when it was made.");
  const started = Date.now();
  const here = { target: from.target, overwrite: args.overwrite, keepGoing: args["keep-going"] === true };
  const result = await restoreHere(call, here, async () => {
    const checked = await checkSnapshot(from.objects, {
      rootKeys: from.rootKeys,
      allowUnverified: args["allow-unverified"] === true,
      expect: from.expect,
    });
    return { artifact: await unsealWith(checked, from.file), paths };
  });
  const byHand = stockLines(from.identityFile, copied(from), from.target);
  output.message("summary", {
    snapshot_id: from.manifest.snapshot_id,
    source_id: from.manifest.source_id,
    target: resolve(from.target),
    verified: isVerified,
    files_restored: result.written,
    files_skipped: result.skipped,
    bytes_restored: result.bytes,
    problems: result.problems,
    damaged: result.damaged,
    total_duration: (Date.now() - started) / 1000,
    by_hand: byHand.join("\n"),
  });
  output.line(restoredLine(result, resolve(from.target)));
  const first = from.address === null ? "" : `, once what lies at ${from.address} was copied here`;
  output.note(`The same with stock programs alone${first} (nothing is checked then):\n  ${byHand.join("\n  ")}`);
  return concludeRestored(output, result);
}

function tellHowToContinue(error: unknown): never {
  if (!isXVaultError(error, "TARGET_NOT_EMPTY")) throw error;
  throw new XVaultError("TARGET_NOT_EMPTY", error.message, {
    fix: `${error.fix} A recovery that was interrupted is continued with --overwrite if-changed: what is there and equal is left.`,
    cause: error,
  });
}

/** The snapshot with its directories as they are once a bucket was copied to this one: below its address. */
function copied({ address, manifest, directory, directoryOf }: Recovery): Parameters<typeof stockLines>[1] {
  const local = (place: string) => (address === null ? place : place.slice(address.length + 1) || ".");
  return { manifest, directory: local(directory), directoryOf: (id) => local(directoryOf(id)) };
}

/** A storage may hold the snapshots of many workspaces: those of other keys are not meant. */
function oursOf({ snapshots }: FoundSnapshots, mine: Set<string>): FoundSnapshot[] {
  return snapshots.filter(({ manifest }) => fingerprintsOf(manifest).some((fingerprint) => mine.has(fingerprint)));
}

/** The snapshot that was named, or the newest that the key opens. @throws NOT_FOUND, INPUT_INVALID when several end so */
function choose(
  { snapshots, unreadable }: FoundSnapshots,
  ours: readonly FoundSnapshot[],
  name: string | undefined,
  output: Output,
): FoundSnapshot {
  const broken =
    unreadable.length > 0
      ? ` ${counted(unreadable.length, "directory", "directories")} could not be read; --list tells which.`
      : "";
  if (name !== undefined) {
    const [first, second] = snapshots.filter(({ manifest }) => manifest.snapshot_id.endsWith(name.toLowerCase()));
    if (!first) throw nothingHere(`No snapshot here ends in '${name}'.${broken}`);
    if (second) {
      throw new XVaultError("INPUT_INVALID", `More than one snapshot ends in '${name}'.`, {
        fix: "Give more of the id.",
      });
    }
    return first;
  }
  if (broken) output.warn(broken.trim());
  const newest = ours[0] ?? snapshots[0];
  if (!newest) throw nothingHere(`There is no snapshot here.${broken}`);
  const sources = new Set(ours.map(({ manifest }) => manifest.source_id)).size;
  if (sources > 1) {
    output.note(
      `There are snapshots of ${sources} sources here; this takes the newest of all. Choose with --snapshot (see --list).`,
    );
  }
  return newest;
}

/**
 * Tells where the newest that is left may not be the newest that there was. Only what was found anyway is looked at; that the last of a chain
 * was removed with all that belongs to it leaves no trace in a storage.
 */
function warnOfGaps(
  output: Output,
  found: FoundSnapshots,
  ours: readonly FoundSnapshot[],
  chosen: FoundSnapshot,
  rootKeys: string[],
): void {
  const findings = findingsOf(found, rootKeys);
  const lines = ours.flatMap(({ manifest: { snapshot_id: id, created_at: at } }) => {
    const finding = findings.get(id);
    return finding === undefined ? [] : [`Snapshot ${shortId(id)} of ${at}: ${finding}.`];
  });
  const places = new Set(ours.map(({ directory }) => dirname(directory)));
  for (const directory of found.withoutManifest) {
    const id = basename(directory);
    // Ids that were made later sort later.
    if (!places.has(dirname(directory)) || !isId(id) || id <= chosen.manifest.snapshot_id) continue;
    lines.push(`Newer than this snapshot, ${directory}: ${NO_MANIFEST}.`);
  }
  for (const line of lines.slice(0, GAPS_TOLD)) output.warn(line);
  if (lines.length > GAPS_TOLD) output.warn(`The chain has ${lines.length - GAPS_TOLD} more gaps; --list tells all.`);
}

function findingsOf(found: FoundSnapshots, rootKeys: string[]): Map<string, string> {
  const manifests = found.snapshots.map(({ manifest }) => manifest);
  const genuine = found.tombstones.filter((tombstone) => isGenuine(tombstone, rootKeys));
  return chainFindings(manifests, genuine);
}

function nothingHere(message: string): XVaultError {
  return new XVaultError("NOT_FOUND", message, {
    fix: "See what is there with --list; --from takes the storage's base directory too.",
  });
}

async function fingerprintsIn(file: IdentityFile): Promise<Set<string>> {
  return new Set((await recipientsOf(file)).map((key) => key.fingerprint));
}

/** Without a root key nothing can be checked, and a tombstone is taken at its word as the manifests are. */
function isGenuine(tombstone: FoundSnapshots["tombstones"][number], rootKeys: string[]): boolean {
  if (rootKeys.length === 0) return true;
  try {
    verifyTombstone(tombstone, rootKeys);
    return true;
  } catch {
    return false;
  }
}

async function list(
  output: Output,
  found: FoundSnapshots,
  file: IdentityFile | null,
  rootKeys: string[],
): Promise<number> {
  const mine = file && (await fingerprintsIn(file));
  const findings = findingsOf(found, rootKeys);
  const rows = found.snapshots.map(({ manifest, directory }) => {
    const signature = signatureOf(manifest, rootKeys);
    const opens = mine && fingerprintsOf(manifest).some((fingerprint) => mine.has(fingerprint));
    const finding = findings.get(manifest.snapshot_id) ?? null;
    output.message("snapshot", {
      snapshot_id: manifest.snapshot_id,
      tenant_id: manifest.tenant_id,
      source_id: manifest.source_id,
      sequence: manifest.sequence,
      created_at: manifest.created_at,
      partial: manifest.partial,
      ...manifest.contents,
      size_bytes: manifest.artifact.size_bytes,
      directory,
      signature,
      opens,
      key_fingerprints: fingerprintsOf(manifest),
      finding,
    });
    return [
      shortId(manifest.snapshot_id),
      shortId(manifest.source_id),
      manifest.created_at,
      String(manifest.contents.files),
      formatBytes(manifest.contents.plain_bytes),
      formatBytes(manifest.artifact.size_bytes),
      signature,
      opens === null ? "?" : opens ? "yes" : "no",
      finding ?? "",
    ];
  });
  const head = ["ID", "SOURCE", "CREATED", "FILES", "SIZE", "STORED", "SIGNATURE", "OPENS", "NOTE"];
  if (rows.length > 0) output.line(table(head, rows, [3, 4, 5]));
  for (const { directory, error } of found.unreadable) output.warn(`${directory}: ${error.message}`);
  for (const directory of found.withoutManifest) output.warn(`${directory}: ${NO_MANIFEST}.`);
  if (rows.length === 0) throw nothingHere("There is no snapshot here.");
  return EXIT.ok;
}

function signatureOf(manifest: FoundSnapshot["manifest"], rootKeys: string[]): "genuine" | "forged" | "unchecked" {
  if (rootKeys.length === 0) return "unchecked";
  try {
    verifyManifest(manifest, rootKeys);
    return "genuine";
  } catch {
    return "forged";
  }
}
