export { appendAudit, type AuditEntryInput } from "./append.ts";
export type { AuditAnchor } from "./anchor.ts";
export { auditPage, type AuditPiece, oldAuditEntries, weighAuditPiece } from "./archive.ts";
export { closeArchivedAudit, deleteAuditThrough } from "./prune.ts";
export { type AuditCheck, type AuditFault, verifyAuditChain } from "./verify.ts";
