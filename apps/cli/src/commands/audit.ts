import type { AuditArchives } from "@xvault/contracts";
import { type AuditWalked, createAuditWalk } from "@xvault/crypto";
import { shortId, XVaultError } from "@xvault/kernel";
import { command, group, JSON_ARG, numberArg } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { type HubApi, hubApi, pagesOf } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { walkAuditFile } from "../local/audit-file.ts";
import { table } from "../output.ts";

const lsCommand = command({
  name: "ls",
  description: "List archived pieces of the audit log, newest first, and where what the hub's database has begins.",
  args: {
    limit: { type: "string", valueHint: "number", description: "How many at most (default 50)" },
    ...JSON_ARG,
  },
  examples: ["xvault audit ls"],
  async act({ args, world, output }) {
    const limit = numberArg("limit", args.limit, 1, 10_000) ?? 50;
    const api = hubApi(await openHub(world));
    const rows: string[][] = [];
    let begins: AuditArchives["begins"] = null;
    const page = async (cursor: string | undefined) => {
      const found = await api.auditArchives({ limit: Math.min(limit, 200), ...(cursor ? { cursor } : {}) });
      begins = found.begins;
      return found;
    };
    for await (const one of pagesOf(page)) {
      if (rows.length === limit) break;
      output.message("audit_archive", one);
      const { from_seq, through_seq, first_at, last_at, snapshot_id, state } = one;
      rows.push([shortId(snapshot_id), `${from_seq} to ${through_seq}`, first_at, last_at, state]);
    }
    if (rows.length > 0) output.line(table(["SNAPSHOT", "ENTRIES", "FROM", "TO", "STATE"], rows));
    else output.note("Nothing of the audit log was archived yet: all of it is in the hub's database.");
    const log = begins as AuditArchives["begins"];
    if (log) output.note(`The log in the database begins with entry ${log.seq}, of ${log.at}.`);
    return EXIT.ok;
  },
});

const verifyCommand = command({
  name: "verify",
  description:
    "Check archived pieces of an audit log offline: that no entry was changed, none is missing, and each file continues the one before it.",
  args: {
    file: { type: "positional", several: true, description: "The restored files, the oldest first" },
    hash: {
      type: "string",
      description:
        "What the hash of the last entry has to be, as 'through_hash' of the log's own entry 'audit.pruned' says",
    },
    live: { type: "boolean", description: "Ask the hub whether its log continues where the files end" },
    ...JSON_ARG,
  },
  examples: ["xvault audit verify audit-000000000001-000000004711.jsonl", "xvault audit verify audit-*.jsonl --live"],
  async act({ args, all, world, output }) {
    const walk = createAuditWalk();
    for (const file of all("file")) await walkAuditFile(walk, file);
    const walked = walk.walked();
    if (!walked) throw new XVaultError("AUDIT_CHAIN_BROKEN");
    const { first, last } = walked;
    if (args.hash !== undefined && args.hash.toLowerCase() !== last.hash) {
      throw new XVaultError("AUDIT_CHAIN_BROKEN", `The last entry's hash is ${last.hash}, and was to be ${args.hash}.`);
    }
    const continued = args.live ? await continuation(hubApi(await openHub(world)), walked) : null;
    output.message("audit", {
      whole: true,
      tenant_id: walked.tenantId,
      entries: walked.entries,
      first: { seq: first.seq, at: first.at, prev_hash: first.prevHash },
      last,
      continued_by: continued,
    });
    output.line(
      [
        `whole: ${walked.entries} entries of workspace ${walked.tenantId}, each bound to the one before it`,
        `first      entry ${first.seq}, of ${first.at}, follows ${first.prevHash}`,
        `last       entry ${last.seq}, of ${last.at}, hash ${last.hash}`,
        ...(continued === null ? [] : [`then       ${WORDS[continued]}`]),
      ].join("\n"),
    );
    return continued === "unknown" ? EXIT.warning : EXIT.ok;
  },
});

export const auditCommand = group("audit", "List and check archived pieces of the audit log.", {
  ls: lsCommand,
  verify: verifyCommand,
});

const WORDS = {
  log: "the log in the hub's database continues with the next entry",
  archive: "another archive continues with the next entry",
  unknown: "the hub knows nothing that continues here",
};

/** What of the hub's continues where the files end. @throws AUDIT_CHAIN_BROKEN where the next entry follows another one */
async function continuation(api: HubApi, { last }: AuditWalked): Promise<keyof typeof WORDS> {
  const holds = (prevHash: string) => {
    if (prevHash !== last.hash) {
      throw new XVaultError(
        "AUDIT_CHAIN_BROKEN",
        `The hub's entry ${last.seq + 1} does not follow the files' last one.`,
      );
    }
  };
  const page = (cursor: string | undefined) => api.auditArchives({ limit: 200, ...(cursor ? { cursor } : {}) });
  const { begins } = await page(undefined);
  if (begins?.seq === last.seq + 1) {
    holds(begins.prev_hash);
    return "log";
  }
  for await (const { from_seq, prev_hash } of pagesOf(page)) {
    if (from_seq !== last.seq + 1) continue;
    holds(prev_hash);
    return "archive";
  }
  return "unknown";
}
