/** What the operations of a tag are about. */
export const TAGS: Readonly<Record<string, string>> = {
  Account: "Who a token speaks for, and signing in for one.",
  Workspace: "The workspace and the people in it.",
  Tokens: "API tokens. Only somebody who is signed in makes one; its text is shown once.",
  Audit: "Who did what, in a chain of hashes that can be recomputed.",
  Keys: "Who can decrypt: recipients, root keys, the recovery kit.",
  Sources: "Servers that xVault pulls from, and edge clients that send by themselves.",
  Schedules: "When sources are backed up.",
  Jobs: "Everything that runs or ran: backups, restores, checks, packages on their way.",
  Snapshots: "What was backed up, and tickets to read it at the worker that holds it.",
  Restores: "Bringing files back to a server.",
  Packages: "What edge clients announce and report.",
  Storages: "Where snapshots are kept, and the copies on each.",
  Retention: "How long what is kept, in which tier, and what happens next.",
  Checks: "Verification, restore drills and their signed proofs.",
  Notifications: "Alerts, and webhooks that are told of events.",
  System: "Public facts of this hub.",
};
