export { appendAudit, type AuditEntryInput } from "./append.ts";
export { type AuditAnchor, type AuditCheck, type AuditFault, verifyAuditChain } from "./verify.ts";
