import { writeFile } from "node:fs/promises";
import type { RestoreProof } from "@xvault/contracts";
import { manifestSha256, proofBytes, proofKeyOf } from "@xvault/crypto";
import { runDrill } from "@xvault/engine";
import { formatBytes, shortId, XVaultError } from "@xvault/kernel";
import { type Call, command, JSON_ARG, numberArg } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi, type HubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { showWork } from "../live/local-work.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { readIdentityFile, recipientsOf } from "../local/identity.ts";
import { openRemotely } from "../local/open-remotely.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";
import { counted } from "../output.ts";
import { VERSION } from "../version.ts";

/** Files of a sample, when nobody says how many. */
const FILES = 20;

const ARGS = {
  snapshot: { type: "positional", description: "An id, its last digits, 'latest' or 'latest@SOURCE'" },
  all: { type: "boolean", description: "Restore every file (default: some, and the largest and the newest)" },
  files: { type: "string", valueHint: "number", description: `Files of a sample (default ${FILES})` },
  identity: {
    type: "string",
    valueHint: "file",
    description: "Restore here, where the identity is; it never leaves this machine, and signs the proof",
  },
  out: { type: "string", valueHint: "file", description: "Where the signed proof goes" },
  ...JSON_ARG,
} as const;

export const drillCommand = command({
  name: "drill",
  description: "Restore a snapshot to nowhere, compare every file, and keep a signed proof of what came of it.",
  args: ARGS,
  examples: [
    "xvault drill latest@web-01",
    "xvault drill latest@web-01 --all --out proof.json",
    "xvault drill latest@web-01 --identity key.txt --out proof.json",
  ],
  async act(call) {
    const { args, world, output, signal } = call;
    const files = numberArg("files", args.files, 1, 1000) ?? FILES;
    if (args.all && args.files !== undefined) throw new UsageError("--all restores every file; leave --files out.");
    const api = hubApi(await openHub(world, args.identity === undefined ? undefined : signal));
    const snapshot = await findSnapshot(api, parseSnapshotRef(args.snapshot));
    if (args.identity !== undefined) return drillHere(call, api, snapshot.id, { identity: args.identity, files });
    const mode = args.all ? "all" : "sample";
    const job = await api.drill(snapshot.id, { mode, files });
    output.note(`Job ${shortId(job.id)} restores snapshot ${snapshot.short_id} to nowhere.`);
    const done = await watchJob(world, output, api, job);
    const { items } = await api.proofs({ snapshot_id: snapshot.id, limit: 20 });
    const proof = items.find((one) => one.job_id === job.id);
    if (proof && args.out !== undefined) await save(args.out, proof.statement);
    return concludeJob(output, done, {
      what: "The drill",
      ids: { snapshot_id: snapshot.id, proof_id: proof?.id ?? null },
      text: () => (proof ? `${textOf(proof.statement)}; proof ${proof.id}` : "The drill passed"),
    });
  },
});

/** Restores on this machine. The proof is signed with a key that follows from the identity: no hub vouches for it, its holder does. */
async function drillHere(
  { args, world, output, signal }: Call<typeof ARGS>,
  api: HubApi,
  snapshotId: string,
  how: { identity: string; files: number },
): Promise<number> {
  const file = await readIdentityFile(how.identity);
  const { manifest } = await api.snapshot(snapshotId);
  const named = manifest.encryption.recipients.map(({ fingerprint }) => fingerprint);
  const own = await recipientsOf(file);
  const fitting = own.findIndex(({ fingerprint }) => named.includes(fingerprint));
  const signing = proofKeyOf(file.identities[Math.max(0, fitting)] ?? "");
  const { proof, failure } = await showWork(world, output, (reporter) =>
    runDrill({
      subject: {
        tenant_id: manifest.tenant_id,
        source_id: manifest.source_id,
        snapshot_id: manifest.snapshot_id,
        job_id: null,
        manifest_sha256: manifestSha256(manifest),
        sequence: manifest.sequence,
        created_at: manifest.created_at,
        storage: { id: null, kind: null },
        keys: own.map(({ fingerprint }) => fingerprint).filter((fingerprint) => named.includes(fingerprint)),
      },
      open: () => openRemotely(api, snapshotId, file, signal),
      mode: args.all ? "all" : "sample",
      files: how.files,
      signer: { kind: "key_holder", public_key: signing.publicKey },
      privateKey: signing.privateKey,
      version: VERSION,
      reporter,
      signal,
    }),
  );
  if (args.out !== undefined) await save(args.out, proof);
  if (failure && args.out === undefined) throw failure;
  output.message("summary", { snapshot_id: snapshotId, state: failure ? "failed" : "success", proof });
  if (failure) throw failure;
  output.line(textOf(proof));
  output.note(
    `The proof is signed with your proof key ${signing.publicKey}: others check it with 'xvault proof verify FILE --holder-key ${signing.publicKey}'.`,
  );
  if (args.out === undefined) output.note("Keep it with --out FILE.");
  return EXIT.ok;
}

function textOf({ restored, seconds }: RestoreProof): string {
  const { files, of_files: of, bytes } = restored;
  const some = of === null || of === files ? counted(files, "file") : `${files} of ${of} files`;
  return `${some}, ${formatBytes(bytes)}, restored to nowhere and equal to the index, in ${seconds.toFixed(1)} s`;
}

/** Writes a proof, in its one form, to a file that is not there yet. @throws ENTRY_CONFLICT, PATH_DENIED */
export async function save(file: string, proof: RestoreProof): Promise<void> {
  try {
    await writeFile(file, `${proofBytes(proof).toString("utf8")}\n`, { flag: "wx" });
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === "EEXIST";
    throw new XVaultError(
      taken ? "ENTRY_CONFLICT" : "PATH_DENIED",
      `${file} ${taken ? "exists already" : "cannot be written"}.`,
      {
        fix: "Choose another name with --out.",
        cause,
      },
    );
  }
}
