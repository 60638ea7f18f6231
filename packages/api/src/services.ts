import type * as C from "@xvault/contracts";
import type { z } from "zod";
import type { Actor, Caller, RefreshCookie } from "./context.ts";

type In<S extends z.ZodType> = z.output<S>;
interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
interface Visitor {
  ip: string;
  userAgent: string;
  requestId: string;
  cookie: RefreshCookie;
}

/** Sign-up, sign-in and sessions. Passwords: argon2id; refresh tokens rotate, and reuse ends the family (promise 38). */
export interface AuthService {
  /** Makes user, workspace, owner membership, data key and first recipient in one transaction, and signs in. */
  signUp(input: In<typeof C.signUpInput>, visitor: Visitor): Promise<C.Session>;
  /** @throws CREDENTIALS_INVALID with equal work for unknown addresses; RATE_LIMITED by account and address. */
  signIn(input: In<typeof C.signInInput>, visitor: Visitor): Promise<C.Session>;
  /** Rotates the refresh cookie. @throws SESSION_REVOKED */
  refresh(visitor: Visitor): Promise<C.Session>;
  signOut(visitor: Visitor): Promise<void>;
  /** The password once more; answers an access token that carries the confirmation. */
  confirm(actor: Actor, password: string, visitor: Visitor): Promise<C.Session>;
  /** Resolves a bearer token (access JWT or API token) and the named workspace. @throws TOKEN_*, SESSION_REVOKED, NOT_FOUND (not a member) */
  authenticate(bearer: string, workspaceId: string | undefined): Promise<Actor>;
  tokenSignIn(input: In<typeof C.tokenSignInInput>, visitor: Visitor): Promise<z.infer<typeof C.tokenSignInOutput>>;
}

export interface WorkspaceService {
  list(actor: Actor): Promise<C.Workspace[]>;
  rename(caller: Caller, name: string): Promise<C.Workspace>;
  members(caller: Caller): Promise<C.Member[]>;
  addMember(caller: Caller, input: In<typeof C.addMemberInput>): Promise<C.Member>;
  setRole(caller: Caller, userId: string, role: C.Role): Promise<C.Member>;
  removeMember(caller: Caller, userId: string): Promise<void>;
}

export interface TokenService {
  list(caller: Caller): Promise<C.ApiToken[]>;
  create(caller: Caller, input: In<typeof C.createTokenInput>): Promise<z.infer<typeof C.createdTokenSchema>>;
  revoke(caller: Caller, id: string): Promise<void>;
}

export interface AuditService {
  list(caller: Caller, page: In<typeof C.pageInputSchema>): Promise<Page<C.AuditEntry>>;
  /** Pieces of the log that are packages of their own, newest first, and where what the database has begins. */
  archives(caller: Caller, page: In<typeof C.pageInputSchema>): Promise<C.AuditArchives>;
  verify(caller: Caller): Promise<z.infer<typeof C.auditCheckSchema>>;
}

export interface KeyService {
  list(caller: Caller): Promise<z.infer<typeof C.keysSchema>>;
  change(caller: Caller, input: In<typeof C.changeKeyInput>): Promise<z.infer<typeof C.keysSchema>>;
  recoveryKit(caller: Caller): Promise<z.infer<typeof C.recoveryKitSchema>>;
}

export interface SourceService {
  list(caller: Caller): Promise<C.Source[]>;
  get(caller: Caller, id: string): Promise<C.Source>;
  create(caller: Caller, input: In<typeof C.createSourceInput>): Promise<C.Source>;
  update(caller: Caller, input: In<typeof C.updateSourceInput>): Promise<C.Source>;
  remove(caller: Caller, id: string): Promise<void>;
  setPaused(caller: Caller, id: string, paused: boolean): Promise<C.Source>;
  createCredential(caller: Caller, input: In<typeof C.createCredentialInput>): Promise<C.Credential>;
  /** Asks a worker for the host's key; nothing is sent to the host but the question. */
  probe(caller: Caller, address: In<typeof C.addressSchema>): Promise<C.HostKeyMessage>;
  test(
    caller: Caller,
    input: In<typeof C.tryConnectionInput> & { paths: string[] },
  ): Promise<z.infer<typeof C.preflightResultSchema>>;
  browse(caller: Caller, input: In<typeof C.tryConnectionInput> & { path: string }): Promise<C.BrowseResult>;
}

export interface ScheduleService {
  list(caller: Caller): Promise<C.Schedule[]>;
  create(caller: Caller, input: In<typeof C.createScheduleInput>): Promise<C.Schedule>;
  update(caller: Caller, input: In<typeof C.updateScheduleInput>): Promise<C.Schedule>;
  remove(caller: Caller, id: string): Promise<void>;
  /** The next runs. @throws SCHEDULE_INVALID, SCHEDULE_TOO_FREQUENT */
  preview(cron: string, timezone: string, count: number): string[];
}

export interface JobService {
  list(caller: Caller, input: In<typeof C.listJobsInput>): Promise<Page<C.Job>>;
  get(caller: Caller, id: string): Promise<C.Job>;
  events(caller: Caller, id: string, after: number, limit: number): Promise<C.JobEvent[]>;
  watch(caller: Caller, id: string, signal: AbortSignal): AsyncGenerator<C.JobUpdate, void, undefined>;
  cancel(caller: Caller, id: string): Promise<C.Job>;
  /** `full`: every file is pulled, also those that have not changed since the last run. */
  backUp(caller: Caller, input: { id: string; full: boolean }): Promise<C.Job>;
  restore(caller: Caller, input: In<typeof C.createRestoreInput>): Promise<C.Job>;
  /** What such a restore would do; nothing is written. */
  quote(caller: Caller, input: In<typeof C.quoteRestoreInput>): Promise<C.RestoreQuote>;
}

/** Checks of stored copies, restores to nowhere, and the signed statements that these leave. */
export interface CheckService {
  policy(caller: Caller): Promise<C.VerificationPolicy>;
  setPolicy(caller: Caller, input: In<typeof C.updateVerificationInput>): Promise<C.VerificationPolicy>;
  status(caller: Caller): Promise<C.VerificationStatus>;
  /** Those that were left alone longest first. */
  copies(caller: Caller, input: In<typeof C.listChecksInput>): Promise<Page<C.CheckedCopy>>;
  /** While one that looks at as much is at it, that one is answered. @throws KEY_CUSTOMER_HELD, NO_WORKER, ARTIFACT_MISSING */
  check(caller: Caller, input: In<typeof C.checkSnapshotInput>): Promise<C.Job>;
  /** @throws as `check` */
  drill(caller: Caller, input: In<typeof C.drillInput>): Promise<C.Job>;
  proofs(caller: Caller, input: In<typeof C.listProofsInput>): Promise<Page<C.ProofSummary>>;
  proof(caller: Caller, id: string): Promise<C.ProofSummary>;
}

export interface SnapshotService {
  list(caller: Caller, input: In<typeof C.listSnapshotsInput>): Promise<Page<C.Snapshot>>;
  get(caller: Caller, id: string): Promise<z.infer<typeof C.snapshotDetailSchema>>;
  /** Takes it out of the list and queues the removal of its objects. @throws SNAPSHOT_NEEDED, CONFLICT */
  remove(caller: Caller, input: In<typeof C.removeSnapshotInput>): Promise<C.Job>;
  pin(caller: Caller, input: In<typeof C.pinInput>): Promise<C.Snapshot>;
  unpin(caller: Caller, id: string): Promise<C.Snapshot>;
  /** `until` null lifts the hold. @throws INPUT_INVALID for a time that is past */
  hold(caller: Caller, input: In<typeof C.holdInput>): Promise<C.Snapshot>;
  browseTicket(caller: Caller, snapshotId: string): Promise<C.Ticket>;
  downloadTicket(
    caller: Caller,
    input: In<typeof C.downloadTicketInput>,
  ): Promise<z.infer<typeof C.downloadTicketSchema>>;
}

/** Where snapshots lie: storages, which source writes to which, copies of one snapshot on several. */
export interface StorageService {
  list(caller: Caller): Promise<C.Storage[]>;
  get(caller: Caller, id: string): Promise<C.Storage>;
  /** @throws CONFLICT (name), INPUT_INVALID, FORBIDDEN (folders of the workers' disks) */
  create(caller: Caller, input: In<typeof C.createStorageInput>): Promise<C.Storage>;
  /** @throws FORBIDDEN for the operator's, CONFLICT */
  update(caller: Caller, input: In<typeof C.updateStorageInput>): Promise<C.Storage>;
  /** @throws CONFLICT while copies lie there or sources write there */
  remove(caller: Caller, id: string): Promise<void>;
  /** Has a worker write, read back, list, delete, and try a lock where one is asked for. @throws NO_WORKER, what opening it throws */
  test(caller: Caller, id: string): Promise<z.infer<typeof C.storageTestSchema>>;
  placement(caller: Caller, sourceId: string): Promise<z.infer<typeof C.placementSchema>>;
  setPlacement(caller: Caller, input: In<typeof C.setPlacementInput>): Promise<z.infer<typeof C.placementSchema>>;
  /** @throws CONFLICT where the copy is there already, ARTIFACT_MISSING, NO_WORKER */
  copy(caller: Caller, input: In<typeof C.copySnapshotInput>): Promise<C.Job>;
  migrate(caller: Caller, input: In<typeof C.migrateStorageInput>): Promise<z.infer<typeof C.migrateStorageOutput>>;
}

/** What edge clients package, report, and send: what they only report, xVault has seen no byte of. */
export interface PackageService {
  /** Announces a package; registers its source where it is new. @throws INPUT_INVALID, SOURCE_PAUSED */
  ingest(caller: Caller, input: In<typeof C.ingestInput>): Promise<z.infer<typeof C.ingestOutput>>;
  list(caller: Caller, input: In<typeof C.listPackagesInput>): Promise<Page<C.Package>>;
  get(caller: Caller, id: string): Promise<C.Package>;
  /** @throws CONFLICT for what has ended or what a worker takes the bytes of, CHECKSUM_MISMATCH, INPUT_INVALID */
  update(caller: Caller, input: In<typeof C.updatePackageInput>): Promise<C.Package>;
  /** Says to which worker the bytes go, and signs the right to send them there. @throws CONFLICT, CHECKSUM_MISMATCH, INPUT_INVALID, NO_WORKER */
  upload(caller: Caller, input: In<typeof C.uploadPackageInput>): Promise<C.UploadTicket>;
}

export interface WebhookService {
  list(caller: Caller): Promise<C.Webhook[]>;
  /** The answer has the secret, and no other has. */
  create(caller: Caller, input: In<typeof C.createWebhookInput>): Promise<z.infer<typeof C.createdWebhookSchema>>;
  update(caller: Caller, input: In<typeof C.updateWebhookInput>): Promise<C.Webhook>;
  remove(caller: Caller, id: string): Promise<void>;
  /** A new secret, with which all that is sent from now on is signed. */
  rotateSecret(caller: Caller, id: string): Promise<z.infer<typeof C.createdWebhookSchema>>;
  /** Sends a test at once, one try, and says what became of it. */
  test(caller: Caller, id: string): Promise<C.Delivery>;
  deliveries(caller: Caller, input: In<typeof C.listDeliveriesInput>): Promise<Page<C.Delivery>>;
  /** Queues the same event once more; the delivery that it is taken from stays in the log as it is. */
  redeliver(caller: Caller, deliveryId: string): Promise<C.Delivery>;
}

export interface AlertService {
  list(caller: Caller, input: In<typeof C.listAlertsInput>): Promise<z.infer<typeof C.alertPageSchema>>;
  /** @throws CONFLICT for one that is resolved */
  resolve(caller: Caller, input: In<typeof C.resolveAlertInput>): Promise<C.Alert>;
}

/** How long what is kept, where, and what comes of it. */
export interface RetentionService {
  config(caller: Caller): Promise<C.RetentionConfig>;
  /** @throws RETENTION_INVALID */
  updateConfig(caller: Caller, input: In<typeof C.updateConfigInput>): Promise<C.RetentionConfig>;
  rules(caller: Caller, type: C.PackageType): Promise<C.TypeRules>;
  /** @throws RETENTION_INVALID */
  setRules(caller: Caller, input: In<typeof C.setRulesInput>): Promise<C.TypeRules>;
  simulate(caller: Caller, input: In<typeof C.simulateInput>): Promise<C.SimulationResult>;
  /** What a turn would do now. Nothing is done. */
  plan(caller: Caller): Promise<C.LifecyclePlan>;
  projections(
    caller: Caller,
    input: In<typeof C.projectionsInput>,
  ): Promise<C.LifecyclePlan & { now: string; until: string }>;
  suspicions(caller: Caller): Promise<C.SourceSuspicion[]>;
  /** @throws CONFLICT where nothing looks wrong */
  acknowledge(caller: Caller, input: In<typeof C.acknowledgeInput>): Promise<void>;
  resume(caller: Caller): Promise<void>;
  buckets(caller: Caller, days: number): Promise<C.Buckets>;
  status(caller: Caller): Promise<C.SystemStatus>;
}

export interface AdminService {
  tenants(): Promise<C.TenantSummary[]>;
  workers(): Promise<C.Worker[]>;
  jobs(input: In<typeof C.listJobsInput>): Promise<Page<C.Job & { tenant_id: string; tenant_name: string }>>;
  sources(tenantId: string): Promise<C.Source[]>;
  snapshots(tenantId: string): Promise<C.Snapshot[]>;
  createEnrollment(actor: Actor, requestId: string): Promise<z.infer<typeof C.enrollmentSchema>>;
  setDraining(actor: Actor, workerId: string, draining: boolean, requestId: string): Promise<C.Worker>;
  revokeWorker(actor: Actor, workerId: string, requestId: string): Promise<void>;
  restore(actor: Actor, input: In<typeof C.adminRestoreInput>, requestId: string): Promise<C.Job>;
  storages(): Promise<C.PlatformStorage[]>;
  createStorage(
    actor: Actor,
    input: In<typeof C.createPlatformStorageInput>,
    requestId: string,
  ): Promise<C.PlatformStorage>;
  updateStorage(
    actor: Actor,
    input: In<typeof C.updatePlatformStorageInput>,
    requestId: string,
  ): Promise<C.PlatformStorage>;
  retireStorage(actor: Actor, id: string, requestId: string): Promise<void>;
  storageKeys(id: string): Promise<C.StorageKey[]>;
  setStorageKey(actor: Actor, input: In<typeof C.setStorageKeyInput>, requestId: string): Promise<void>;
  removeStorageKey(actor: Actor, input: { id: string; tenant_id: string }, requestId: string): Promise<void>;
}

export interface SystemService {
  info(): Promise<{ version: string; signup: boolean; root_keys: string[]; workers_online: number; demo: boolean }>;
}

/** All that routers may call. Each is a factory's product with the few dependencies it needs; wired together in the hub. */
export interface Services {
  auth: AuthService;
  workspaces: WorkspaceService;
  tokens: TokenService;
  audit: AuditService;
  keys: KeyService;
  sources: SourceService;
  schedules: ScheduleService;
  jobs: JobService;
  checks: CheckService;
  snapshots: SnapshotService;
  packages: PackageService;
  storages: StorageService;
  webhooks: WebhookService;
  alerts: AlertService;
  retention: RetentionService;
  admin: AdminService;
  system: SystemService;
}

export type { Page, Visitor };
