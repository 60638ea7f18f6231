import { z } from "zod";
import { errorReportSchema, idSchema, timeSchema } from "./common.ts";
import { jobEventSchema, jobProgressSchema, overwriteSchema, restoreQuoteSchema } from "./jobs.ts";
import { manifestSchema, workerCertificateSchema } from "./manifest.ts";
import { browseResultSchema, hostKeySchema, preflightCheckSchema, sourceOptionsSchema } from "./sources.ts";
import { ticketClaimsSchema } from "./snapshots.ts";
import { restoreProofSchema } from "./proofs.ts";
import { checkDepthSchema, storageCheckSchema, storageRefSchema, storageSecretSchema } from "./storages.ts";

/** Sent by workers as the header `x-xvault-protocol`; the hub refuses versions that it does not speak. */
export const WORKER_PROTOCOL = 1;

/** Who works on what: every call about a job names its attempt, and a stale one gets `LEASE_LOST`. */
const held = { job_id: idSchema, attempt: z.number().int().min(1) };

const connectionPayload = z.object({
  host: z.string(),
  port: z.number(),
  username: z.string(),
  host_key: hostKeySchema,
});
const snapshotPayload = z.object({ tenant_id: idSchema, source_id: idSchema, snapshot_id: idSchema });

/** What every worker needs to know that makes a snapshot of one file whose bytes come in as a stream. */
const receiveFields = {
  tenant_id: idSchema,
  source_id: idSchema,
  /** Minted for this attempt alone. */
  snapshot_id: idSchema,
  recipients: z.array(z.string()).min(1),
  sequence: z.number().int(),
  previous: z.object({ snapshot_id: idSchema, manifest_sha256: z.string() }).nullable(),
  storages: z.array(storageRefSchema).min(1),
  /** As the client names it: a label, which may be anything. */
  path: z.string(),
  size_bytes: z.number().int().min(0),
  /** SHA-256 of the bytes, 64 lower-case hexadecimal digits. */
  checksum: z.string(),
};

/** What a worker needs to know for a job. Holds no secret: credentials and file keys come by calls of their own. */
export const jobPayloadSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("backup"),
    tenant_id: idSchema,
    source_id: idSchema,
    /** Minted for this attempt alone. */
    snapshot_id: idSchema,
    connection: connectionPayload,
    paths: z.array(z.string()),
    excludes: z.array(z.string()),
    options: sourceOptionsSchema,
    recipients: z.array(z.string()).min(1),
    sequence: z.number().int(),
    previous: z.object({ snapshot_id: idSchema, manifest_sha256: z.string() }).nullable(),
    /** The snapshot that an incremental run starts from: the previous one, where it is whole. Null: everything is pulled. */
    base: idSchema.nullable(),
    /** Rules by which the snapshot will expire, for the log; the hub decides. Null keeps it until somebody does. */
    retention: z.record(z.string(), z.unknown()).nullable(),
    /** Where to write to, the source being read once; the first one is where `base` is read, too. */
    storages: z.array(storageRefSchema).min(1),
  }),
  z.object({
    type: z.literal("restore"),
    snapshot: snapshotPayload,
    storage: storageRefSchema,
    /** As in the API; empty: everything. */
    paths: z.array(z.string()),
    target: connectionPayload.extend({ path: z.string() }),
    overwrite: overwriteSchema,
    verify: z.boolean(),
  }),
  z.object({
    type: z.literal("quote"),
    snapshot: snapshotPayload,
    storage: storageRefSchema,
    paths: z.array(z.string()),
    target: connectionPayload.extend({ path: z.string() }),
    overwrite: overwriteSchema,
  }),
  z.object({
    type: z.literal("verify"),
    snapshot: snapshotPayload,
    storage: storageRefSchema,
    depth: checkDepthSchema,
    /** Of a sample: how much of the blocks is read, between 0 and 1. */
    share: z.number().min(0).max(1),
    /** Of a sample: the share of lost blocks that its confidence is told for. */
    lost_below: z.number().min(0).max(1),
    /** Whether the blocks of earlier artifacts count too, or it is enough that these are there. */
    earlier: z.boolean(),
  }),
  z.object({
    type: z.literal("drill"),
    snapshot: snapshotPayload,
    storage: storageRefSchema,
    /** What the statement says of the snapshot, as the hub knows it. */
    manifest_sha256: z.string(),
    sequence: z.number().int(),
    created_at: timeSchema,
    /** Fingerprints of those of its recipients whose identities the platform holds. */
    keys: z.array(z.string()),
    mode: z.enum(["sample", "all"]),
    files: z.number().int().min(1),
  }),
  z.object({
    type: z.literal("transfer"),
    snapshot: snapshotPayload,
    from: storageRefSchema,
    to: storageRefSchema,
    /** Earlier snapshots that it needs and that are not there yet: they go first. */
    needs: z.array(snapshotPayload),
    /** Whether the copy that it came from goes, once the new one was read back. */
    remove: z.boolean(),
    /** It was to go, and stays for now: later snapshots beside it use its data. */
    kept: z.boolean(),
    sequence: z.number().int(),
    manifest_sha256: z.string(),
    previous: z.object({ snapshot_id: idSchema, manifest_sha256: z.string() }).nullable(),
    reason: z.string(),
  }),
  z.object({
    type: z.literal("expire"),
    snapshot: snapshotPayload,
    storage: storageRefSchema,
    sequence: z.number().int(),
    manifest_sha256: z.string(),
    previous: z.object({ snapshot_id: idSchema, manifest_sha256: z.string() }).nullable(),
    reason: z.string(),
  }),
  z.object({ type: z.literal("audit_archive"), ...receiveFields }),
  z.object({ type: z.literal("preflight"), connection: connectionPayload, paths: z.array(z.string()) }),
  z.object({ type: z.literal("browse"), connection: connectionPayload, path: z.string() }),
  z.object({ type: z.literal("probe"), host: z.string(), port: z.number() }),
  z.object({ type: z.literal("storage_test"), storage: storageRefSchema }),
]);
export type JobPayload = z.infer<typeof jobPayloadSchema>;
export type JobPayloadOf<T extends JobPayload["type"]> = Extract<JobPayload, { type: T }>;

/** What a worker needs to know to take a package's bytes from its client. No queue hints at such a job: the client's ticket does. */
export const receivePayloadSchema = z.object({ type: z.literal("ingest"), ...receiveFields });
export type ReceivePayload = z.infer<typeof receivePayloadSchema>;

/** The secret by which a source is opened. Handed to the holder of a lease only; never logged, never stored by a worker. */
export const credentialSecretSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("key"), private_key: z.string(), passphrase: z.string().optional() }),
  z.object({ kind: z.literal("password"), password: z.string() }),
]);
export type CredentialSecret = z.infer<typeof credentialSecretSchema>;

export const jobResultSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("backup"),
    files: z.number(),
    /** Files that an earlier snapshot's artifact holds already, and their bytes. */
    unchanged_files: z.number().optional(),
    unchanged_bytes: z.number().optional(),
    /** SHA-256 of each file that the source names as a canary, by path; null for one that was not there. */
    canaries: z.record(z.string(), z.string().nullable()).optional(),
    plain_bytes: z.number(),
    size_bytes: z.number(),
    problems: z.number(),
  }),
  /** Of what a client sends, and of an archived piece of the audit log. */
  z.object({ type: z.literal("ingest"), plain_bytes: z.number(), size_bytes: z.number() }),
  z.object({
    type: z.literal("restore"),
    written: z.number(),
    skipped: z.number(),
    bytes: z.number(),
    problems: z.number(),
    /** What was read of the storage, in bytes as they lie there. */
    read_bytes: z.number().optional(),
  }),
  z.object({
    type: z.literal("verify"),
    depth: checkDepthSchema,
    files: z.number(),
    bytes: z.number(),
    /** Of a sample: how sure it is that less than `lost_below` of the bytes is lost. Both between 0 and 1. */
    confidence: z.number().optional(),
    lost_below: z.number().optional(),
  }),
  z.object({
    type: z.literal("drill"),
    mode: z.enum(["sample", "all"]),
    files: z.number(),
    of_files: z.number().nullable(),
    bytes: z.number(),
    read_bytes: z.number(),
    seconds: z.number(),
    proof_id: idSchema,
  }),
  z.object({ type: z.literal("transfer"), bytes: z.number(), snapshots: z.number(), freed_bytes: z.number() }),
  z.object({ type: z.literal("storage_test"), checks: z.array(storageCheckSchema), locked: z.boolean() }),
  z.object({ type: z.literal("expire"), freed_bytes: z.number() }),
  z.object({ type: z.literal("preflight"), checks: z.array(preflightCheckSchema) }),
  z.object({ type: z.literal("browse"), listing: browseResultSchema }),
  z.object({ type: z.literal("probe"), host_key: hostKeySchema }),
  z.object({ type: z.literal("quote"), quote: restoreQuoteSchema }),
]);
export type JobResult = z.infer<typeof jobResultSchema>;

/** A copy that a worker made. `storage_id` null: on its own disk, directly below its base path. */
const storedCopySchema = z.object({
  storage_id: idSchema.nullable(),
  location: z.string().max(4096),
  locked_until: timeSchema.nullable(),
});

const workerFacts = {
  version: z.string().max(50),
  capabilities: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  storage_base_path: z.string().max(4096),
  /** Browsers are sent there: nothing but web addresses. */
  data_url: z.url({ protocol: /^https?$/ }).max(500),
  concurrency: z.number().int().min(1).max(256),
  free_bytes: z.number().nullable(),
};

const fileKeySchema = z.object({ artifact: z.string(), index: z.string() });
/** The age headers of a snapshot, base64; the hub checks the manifest's signature before it unwraps. */
const sealedHeadersSchema = z.object({
  manifest: manifestSchema,
  artifact_header: z.string(),
  index_header: z.string(),
});
/** The same of an earlier snapshot whose artifact alone is needed. */
const sealedArtifactSchema = sealedHeadersSchema.omit({ index_header: true });
const artifactKeySchema = fileKeySchema.omit({ index: true });

/**
 * Every call of a worker to the hub: `POST /worker/v1/{name}`. All but `enrol` carry a bearer JWT (EdDSA, a minute long) that the worker
 * signs with the key it enrolled; its audience is `xvault-worker`, its issuer the worker's id.
 */
export const workerProtocol = {
  /** Spends a one-time token and registers the worker's own key. `proof` is the key's signature over the token. */
  enrol: {
    input: z.object({
      token: z.string(),
      name: z.string().min(1).max(120),
      public_key: z.string(),
      proof: z.string(),
      ...workerFacts,
    }),
    output: z.object({ worker_id: idSchema, certificate: workerCertificateSchema, root_keys: z.array(z.string()) }),
  },
  /** Said at start and every few seconds after: I live. Answers what the worker should know; renews the certificate in time. */
  hello: {
    input: z.object(workerFacts),
    output: z.object({
      certificate: workerCertificateSchema,
      root_keys: z.array(z.string()),
      /** By which the worker checks tickets: key id → public key. */
      ticket_keys: z.record(z.string(), z.string()),
      /** Where browsers come from, for CORS. */
      web_origins: z.array(z.string()),
      draining: z.boolean(),
    }),
  },
  /** Asks for a job that a message hinted at. Not granted: somebody has it, it is over, or its source is busy. */
  lease: {
    input: z.object({ job_id: idSchema }),
    output: z.discriminatedUnion("granted", [
      z.object({ granted: z.literal(true), ...held, lease_seconds: z.number(), payload: jobPayloadSchema }),
      z.object({ granted: z.literal(false) }),
    ]),
  },
  /** A client shows a ticket for sending a package's bytes: is it still good, and which job is it for? */
  upload_ticket: {
    input: z.object({ ticket: z.string() }),
    output: z.object({ job_id: idSchema, expires_at: timeSchema }),
  },
  /** Leases the job of such a ticket, to a higher attempt each time. Refused with RATE_LIMITED while its source is busy. */
  begin_upload: {
    input: z.object({ ticket: z.string() }),
    output: z.object({ ...held, lease_seconds: z.number(), payload: receivePayloadSchema }),
  },
  /** Keeps the lease, tells progress and events, and hears whether the job was cancelled. */
  heartbeat: {
    input: z.object({
      ...held,
      progress: jobProgressSchema.nullable(),
      events: z.array(jobEventSchema.omit({ id: true, attempt: true })).max(500),
    }),
    output: z.object({ cancel: z.boolean() }),
  },
  /** The secret for the job's source, just in time. */
  credentials: { input: z.object(held), output: credentialSecretSchema },
  /** What opens a storage that the job's payload names; null for one that needs nothing. */
  storage_secret: {
    input: z.object({ ...held, storage_id: idSchema }),
    output: z.object({ secret: storageSecretSchema.nullable() }),
  },
  /**
   * Entries of the audit log that the job archives, the oldest first: those after a number, as the lines of the file that they become. A page at a
   * time; `next_after` null: there are no more.
   */
  audit_entries: {
    input: z.object({ ...held, after_seq: z.number().int().min(0) }),
    output: z.object({ lines: z.string(), next_after: z.number().int().nullable() }),
  },
  /** The key under which the source's plan states lie (32 bytes, base64). For backups alone. */
  plan_key: { input: z.object(held), output: z.object({ key: z.string() }) },
  /** The file keys of a snapshot that the job reads (platform-held keys only). */
  unwrap: { input: z.object({ ...held, sealed: sealedHeadersSchema }), output: fileKeySchema },
  /** The file key of an earlier artifact that the job's snapshot refers to, in its signed manifest, by this very manifest's hash. */
  unwrap_earlier: { input: z.object({ ...held, sealed: sealedArtifactSchema }), output: artifactKeySchema },
  /** A snapshot is stored and signed: make it visible. Repeating it is harmless. */
  publish: {
    input: z.object({
      ...held,
      manifest: manifestSchema,
      /** Where it lies whole, and where that is in words. A storage that was to get it and did not is missing here. */
      stored: z.array(storedCopySchema).min(1),
    }),
    output: z.object({ snapshot_id: idSchema }),
  },
  /** Of a transfer: a snapshot, the job's own or an earlier one that it needs, is whole on the storage that it goes to. Repeating it is harmless. */
  stored: {
    input: z.object({
      ...held,
      snapshot_id: idSchema,
      location: z.string().max(4096),
      locked_until: timeSchema.nullable(),
    }),
    output: z.object({}),
  },
  /** What came of a drill, signed. Repeating it is harmless. */
  prove: { input: z.object({ ...held, proof: restoreProofSchema }), output: z.object({ proof_id: idSchema }) },
  /** The job is over for this attempt. `retry` inside the error says whether another attempt may help. */
  complete: {
    input: z.object({
      ...held,
      state: z.enum(["success", "warning", "failed", "cancelled"]),
      result: jobResultSchema.nullable(),
      error: errorReportSchema.nullable(),
      events: z.array(jobEventSchema.omit({ id: true, attempt: true })).max(500),
    }),
    output: z.object({}),
  },
  /** Gives a job back unfinished (shutdown): it is queued again at once, without spending an attempt's backoff. */
  release: { input: z.object(held), output: z.object({}) },
  /**
   * Said at start, before any job: which of the snapshots that lie on this worker's storage the hub knows, and which another worker is
   * still writing. Of the others, those without a manifest belong to no one.
   */
  reconcile: {
    input: z.object({ snapshot_ids: z.array(idSchema).max(1000) }),
    output: z.object({ known: z.array(idSchema), pending: z.array(idSchema) }),
  },
  /**
   * Said at start of a whole, signed snapshot that the hub does not know, on this worker's disk or by a receipt that lies there: its attempt died
   * between storing and publishing. `published`: it exists from now on, or did already. `abandoned`: its attempt is over and was never published; nobody needs it.
   * `waiting`: not decided yet. `unknown`: the hub has never heard of its job, or is behind it; it may have lost its database.
   */
  adopt: {
    input: z.object({ manifest: manifestSchema, stored: z.array(storedCopySchema).min(1) }),
    output: z.object({ outcome: z.enum(["published", "abandoned", "waiting", "unknown"]) }),
  },
  /** A ticket was shown to the data listener: is it still good, and what are the file keys? */
  redeem: {
    input: z.object({ ticket: z.string(), sealed: sealedHeadersSchema.nullable() }),
    output: z.object({
      claims: ticketClaimsSchema,
      keys: fileKeySchema.nullable(),
      /** Earlier snapshots that the ticket's refers to: their artifacts may be read with it too. */
      earlier: z.array(idSchema),
      /** Where the snapshot is read, and what opens that; null where it needs nothing. */
      storage: storageRefSchema,
      storage_secret: storageSecretSchema.nullable(),
      filename: z.string(),
      expires_at: timeSchema,
    }),
  },
  /** As `unwrap_earlier`, under a ticket for downloads. */
  redeem_earlier: { input: z.object({ ticket: z.string(), sealed: sealedArtifactSchema }), output: artifactKeySchema },
} as const;

export type WorkerCall = keyof typeof workerProtocol;
export type WorkerInput<C extends WorkerCall> = z.input<(typeof workerProtocol)[C]["input"]>;
export type WorkerOutput<C extends WorkerCall> = z.output<(typeof workerProtocol)[C]["output"]>;
