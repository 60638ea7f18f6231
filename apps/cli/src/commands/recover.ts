import { resolve } from "node:path";
import { verifyManifest, verifyTombstone } from "@xvault/crypto";
import { chainFindings, checkSnapshot, type FoundSnapshot, type FoundSnapshots, runRestore } from "@xvault/engine";
import { formatBytes, shortId, XVaultError } from "@xvault/kernel";
import { type Call, command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { showWork } from "../live/local-work.ts";
import { stockLines } from "../local/by-hand.ts";
import { checkRawKey } from "../local/raw-key.ts";
import { type IdentityFile, readIdentityFile, recipientsOf } from "../local/identity.ts";
import { checkFresh, filling, openTarget } from "../local/target.ts";
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
  target: { type: "string", valueHint: "dir", description: "Where to restore to: a new or empty directory" },
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

export const recoverCommand = command({
  name: "recover",
  description:
    "Restore without the hub: from the stored files and the recovery kit alone. From a directory no network is used; of a bucket or remote, only what is needed is read.",
  args: ARGS,
  examples: [
    "xvault recover --from /mnt/storage --list --identity recovery-kit.txt",
    "xvault recover --from /mnt/storage --identity recovery-kit.txt --target ./out",
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
  const chosen = choose(found, args.snapshot, await fingerprintsIn(file), output);
  return recover(call, { ...chosen, address, rootKeys, file, identityFile: args.identity, target: args.target });
}

interface Recovery extends FoundSnapshot {
  address: string | null;
  rootKeys: string[];
  file: IdentityFile;
  identityFile: string;
  target: string;
}

async function recover({ args, all, output, world, signal }: Call<typeof ARGS>, from: Recovery): Promise<number> {
  const paths = all("path").map(parseInnerPath);
  await checkFresh(resolve(from.target), undefined);
  const isVerified = from.rootKeys.length > 0 && !args["allow-unverified"];
  output.note(
    `snapshot ${shortId(from.manifest.snapshot_id)} of ${from.manifest.created_at}, source ${shortId(from.manifest.source_id)}, in ${from.directory}`,
  );
  if (!isVerified)
    output.warn("The signature is not checked: whoever could write to the storage may have made this snapshot.");
  if (from.manifest.partial)
    output.warn("This snapshot is partial: some of the source could not be read when it was made.");
  const started = Date.now();
  const result = await showWork(world, output, async (reporter) => {
    const checked = await checkSnapshot(from.objects, {
      rootKeys: from.rootKeys,
      allowUnverified: args["allow-unverified"] === true,
      expect: from.expect,
    });
    const artifact = await unsealWith(checked, from.file);
    const target = await openTarget(from.target, undefined, signal);
    return filling(target, () => runRestore({ artifact, paths, target, reporter, signal }));
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
    total_duration: (Date.now() - started) / 1000,
    by_hand: byHand.join("\n"),
  });
  output.line(
    `${counted(result.written, "entry", "entries")}, ${formatBytes(result.bytes)} restored to ${resolve(from.target)}.`,
  );
  const first = from.address === null ? "" : `, once what lies at ${from.address} was copied here`;
  output.note(`The same with stock programs alone${first} (nothing is checked then):\n  ${byHand.join("\n  ")}`);
  if (result.problems === 0) return EXIT.ok;
  output.warn(`${result.problems} of them were not whole on the source when the backup ran.`);
  return EXIT.warning;
}

/** The snapshot with its directories as they are once a bucket was copied to this one: below its address. */
function copied({ address, manifest, directory, directoryOf }: Recovery): Parameters<typeof stockLines>[1] {
  const local = (place: string) => (address === null ? place : place.slice(address.length + 1) || ".");
  return { manifest, directory: local(directory), directoryOf: (id) => local(directoryOf(id)) };
}

/** The snapshot that was named, or the newest that the key opens. @throws NOT_FOUND, INPUT_INVALID when several end so */
function choose(found: FoundSnapshots, name: string | undefined, mine: Set<string>, output: Output): FoundSnapshot {
  const { snapshots, unreadable } = found;
  const broken =
    unreadable.length > 0
      ? ` ${counted(unreadable.length, "directory", "directories")} could not be read; --list tells which.`
      : "";
  if (name !== undefined && name !== "latest") {
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
  // A storage may hold the snapshots of many workspaces: those of other keys are not meant.
  const ours = snapshots.filter(({ manifest }) =>
    fingerprintsOf(manifest).some((fingerprint) => mine.has(fingerprint)),
  );
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
  const genuine = found.tombstones.filter((tombstone) => isGenuine(tombstone, rootKeys));
  const findings = chainFindings(
    found.snapshots.map(({ manifest }) => manifest),
    genuine,
  );
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
