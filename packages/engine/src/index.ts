export { runReceive } from "./backup/receive.ts";
export { type BackupOutcome, type BackupRun, runBackup } from "./backup/run.ts";
export { isRefused, type SealRun } from "./backup/seal.ts";
export { type DrillOutcome, type DrillRun, runDrill } from "./drill/run.ts";
export { type ExpireRun, runExpire } from "./expire/run.ts";
export { createReportLog, type ReportedEvent, type Reporter, type ReportLog } from "./progress.ts";
export type { CheckOptions } from "./genuine-manifest.ts";
export { chainFindings } from "./recover/chain.ts";
export { findSnapshots, type FoundSnapshot, type FoundSnapshots } from "./recover/find-snapshots.ts";
export { findStoredSnapshots } from "./recover/find-stored.ts";
export { unsealWithIdentities } from "./recover/unseal.ts";
export { countReads, type ReadCount } from "./read-count.ts";
export { type EarlierKey } from "./references.ts";
export { remoteObjects, type RemoteObjectsOptions } from "./remote-objects.ts";
export { type QuoteRun, quoteRestore } from "./restore/quote.ts";
export { type RestoreRun, runRestore } from "./restore/run.ts";
export {
  type CheckedArtifact,
  type CheckedSnapshot,
  checkSnapshot,
  type SnapshotObjects,
  storedObjects,
  unsealSnapshot,
} from "./snapshot.ts";
export { runTransfer, type TransferRun } from "./transfer/run.ts";
export { type CheckFound, type CheckRun, runCheck } from "./verify/check.ts";
export { runVerify } from "./verify/run.ts";
export { keysOf, type SnapshotPlace } from "./place.ts";
