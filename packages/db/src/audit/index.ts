export { appendAudit, type AuditEntryInput } from "./append.ts";
export type { AuditAnchor } from "./anchor.ts";
export { closeAuditBefore, deleteAuditThrough } from "./prune.ts";
export { type AuditCheck, type AuditFault, verifyAuditChain } from "./verify.ts";
