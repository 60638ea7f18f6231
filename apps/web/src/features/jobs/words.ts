import type { Job } from "@xvault/contracts";

export const TYPE_WORDS: Record<Job["type"], string> = {
  backup: "Backup",
  restore: "Restore",
  verify: "Verification",
  drill: "Restore drill",
  transfer: "Copy to another storage",
  expire: "Removal",
  ingest: "Package",
  audit_archive: "Archive",
  preflight: "Connection test",
  browse: "Directory listing",
  probe: "Host key question",
  quote: "Restore preview",
  storage_test: "Storage test",
};

/** 'Backup of web-01'. A restore's source is the one that is written to. */
export function jobTitle(job: Pick<Job, "type" | "source_name">): string {
  if (!job.source_name) return TYPE_WORDS[job.type];
  const word = job.type === "restore" ? "to" : job.type === "ingest" ? "from" : "of";
  return `${TYPE_WORDS[job.type]} ${word} ${job.source_name}`;
}

export const TRIGGER_WORDS: Record<Job["trigger"], string> = {
  manual: "by hand",
  schedule: "by schedule",
  api: "over the API",
  admin: "by a platform admin",
  system: "by xVault",
};

/** What each step does, in a word that a person would use. Unknown steps are shown as they are. */
export const STEP_WORDS: Record<string, string> = {
  connect: "Connect",
  list: "List",
  pull: "Pull",
  pack: "Pack",
  encrypt: "Encrypt",
  store: "Store",
  verify: "Verify",
  publish: "Publish",
  check: "Check signature",
  unlock: "Unlock",
  write: "Write",
  finish: "Finish",
  read: "Read back",
  receive: "Receive",
  remove: "Remove",
  copy: "Copy",
  sign: "Sign",
};

export const isOver = (job: Pick<Job, "state">) => !["queued", "running"].includes(job.state);
