import type { RestoreProof } from "@xvault/contracts";
import { parseProof, parseRecoveryKit, proofBytes, verifyProof } from "@xvault/crypto";
import { formatBytes, formatDuration, shortId, XVaultError } from "@xvault/kernel";
import { command, group, JSON_ARG, numberArg } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi, pagesOf } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { readSecretFile } from "../local/identity.ts";
import { checkRawKey } from "../local/raw-key.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";
import { table } from "../output.ts";
import { save } from "./drill.ts";

/** Longest proof that is read, in bytes. */
const MAX_PROOF = 1024 * 1024;

const lsCommand = command({
  name: "ls",
  description: "List restore proofs, newest first.",
  args: {
    snapshot: { type: "string", description: "Only those of this snapshot" },
    limit: { type: "string", valueHint: "number", description: "How many at most (default 50)" },
    ...JSON_ARG,
  },
  examples: ["xvault proof ls", "xvault proof ls --snapshot latest@web-01"],
  async act({ args, world, output }) {
    const limit = numberArg("limit", args.limit, 1, 10_000) ?? 50;
    const api = hubApi(await openHub(world));
    const of =
      args.snapshot === undefined ? {} : { snapshot_id: (await findSnapshot(api, parseSnapshotRef(args.snapshot))).id };
    const rows: string[][] = [];
    const page = (cursor: string | undefined) =>
      api.proofs({ ...of, limit: Math.min(limit, 200), ...(cursor ? { cursor } : {}) });
    for await (const { id, source_name, snapshot_id, passed, statement, created_at } of pagesOf(page)) {
      if (rows.length === limit) break;
      output.message("proof", { id, source_name, snapshot_id, passed, created_at, statement });
      const { files, of_files, bytes } = statement.restored;
      rows.push([
        id,
        source_name,
        shortId(snapshot_id),
        created_at,
        passed ? "passed" : `failed: ${statement.failure?.code ?? ""}`,
        `${files} of ${of_files ?? "?"}`,
        formatBytes(bytes),
        formatDuration(statement.seconds),
      ]);
    }
    const head = ["ID", "SOURCE", "SNAPSHOT", "WHEN", "OUTCOME", "FILES", "SIZE", "TOOK"];
    if (rows.length > 0) output.line(table(head, rows, [5, 6, 7]));
    else output.note("There is no restore proof yet: xvault drill SNAPSHOT makes one.");
    return EXIT.ok;
  },
});

const getCommand = command({
  name: "get",
  description: "Fetch a restore proof, as it was signed.",
  args: {
    id: { type: "positional", description: "The proof's id, see 'xvault proof ls'" },
    out: { type: "string", valueHint: "file", description: "Where to write it (default: to stdout)" },
    ...JSON_ARG,
  },
  examples: ["xvault proof get 0190… --out proof.json"],
  async act({ args, world, output }) {
    const proof = await hubApi(await openHub(world)).proof(args.id);
    if (args.out !== undefined) await save(args.out, proof);
    output.message("proof", { id: args.id, statement: proof });
    if (args.out === undefined) output.line(proofBytes(proof).toString("utf8"));
    else output.note(`Written to ${args.out}. Check it offline: xvault proof verify ${args.out} --kit RECOVERY-KIT`);
    return EXIT.ok;
  },
});

const verifyCommand = command({
  name: "verify",
  description: "Check a restore proof offline: who signed it, and that nothing in it was changed. No network is used.",
  args: {
    file: { type: "positional", description: "The proof" },
    "root-key": { type: "string", description: "Root public key of the hub (base64); may be repeated" },
    kit: { type: "string", valueHint: "file", description: "A recovery kit, whose root keys are taken" },
    "holder-key": {
      type: "string",
      description: "Proof key of whoever holds the identity (base64), for proofs made with --identity; may be repeated",
    },
    ...JSON_ARG,
  },
  examples: [
    "xvault proof verify proof.json --kit recovery-kit.txt",
    "xvault proof verify proof.json --root-key BASE64",
  ],
  async act({ args, all, output }) {
    const rootKeys = all("root-key").map((key) => checkRawKey("root-key", key));
    const holderKeys = all("holder-key").map((key) => checkRawKey("holder-key", key));
    if (args.kit !== undefined)
      rootKeys.push(...parseRecoveryKit(await readSecretFile(args.kit, "recovery kit")).rootKeys);
    const proof = parseProof(await readProof(args.file));
    if (rootKeys.length === 0 && proof.signer.kind === "worker") {
      throw new XVaultError("SIGNATURE_INVALID", "There is no root key, so nobody can say who signed the proof.", {
        fix: "Give the hub's root key with --root-key, or the recovery kit with --kit.",
      });
    }
    verifyProof(proof, { rootKeys, holderKeys });
    output.message("proof", { genuine: true, statement: proof });
    output.line(lines(proof).join("\n"));
    // A genuine statement of a failure is genuine, and still not what one hopes for.
    return proof.outcome === "passed" ? EXIT.ok : EXIT.warning;
  },
});

export const proofCommand = group("proof", "List, fetch and check proofs that restores were tried.", {
  ls: lsCommand,
  get: getCommand,
  verify: verifyCommand,
});

async function readProof(file: string): Promise<Buffer> {
  const bytes = Buffer.from(await readSecretFile(file, "proof"), "utf8");
  if (bytes.length <= MAX_PROOF) return bytes;
  throw new XVaultError("ARCHIVE_MALFORMED", `${file} is too long for a restore proof.`);
}

function lines(proof: RestoreProof): string[] {
  const { restored, signer, storage, versions } = proof;
  const who =
    signer.kind === "worker" ? `worker ${signer.certificate.worker_id}` : `the key holder ${signer.public_key}`;
  const files = restored.of_files === null ? String(restored.files) : `${restored.files} of ${restored.of_files}`;
  return [
    `genuine: signed by ${who}`,
    `outcome    ${proof.outcome}${proof.failure ? `: ${proof.failure.code}, ${proof.failure.message}` : ""}`,
    `snapshot   ${proof.snapshot_id} (number ${proof.sequence} of source ${proof.source_id}, made ${proof.created_at})`,
    `manifest   ${proof.manifest_sha256}`,
    `when       ${proof.started_at} to ${proof.finished_at}, ${formatDuration(proof.seconds)}`,
    `restored   ${files} files (${restored.mode}), ${formatBytes(restored.bytes)}; ${formatBytes(restored.read_bytes)} read of the storage`,
    `storage    ${storage.kind ?? "through the hub"} ${storage.id ?? ""}`.trimEnd(),
    `keys       ${proof.keys.join(", ")}`,
    `versions   xVault ${versions.xvault}, Node ${versions.node}, format ${versions.format}`,
  ];
}
