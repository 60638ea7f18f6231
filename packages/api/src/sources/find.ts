import { and, eq, isNull, or, sources, type SourceRow, type TenantTx } from "@xvault/db";
import { isId, XVaultError } from "@xvault/kernel";
import type { Caller } from "../context.ts";
import { connectionParams, type ConnectionParams } from "../jobs/params.ts";

/**
 * A source of the caller's workspace, by its id or by the name that an edge client gave it. An id means the source that has it, even when
 * another one was given the same text as its name. @throws NOT_FOUND, for foreign ones too.
 */
export async function findSource(tx: TenantTx, caller: Caller, id: string): Promise<SourceRow> {
  const named = eq(sources.edgeId, id);
  const found = await tx
    .select()
    .from(sources)
    .where(
      and(
        eq(sources.tenantId, caller.actor.workspace.id),
        isId(id) ? or(eq(sources.id, id), named) : named,
        isNull(sources.deletedAt),
      ),
    );
  const row = found.find((one) => one.id === id) ?? found[0];
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such source.");
  return row;
}

/** How a source is reached. @throws INPUT_INVALID for edge sources, which push by themselves. */
export function connectionOf(source: SourceRow): ConnectionParams {
  if (source.kind !== "ssh") {
    throw new XVaultError(
      "INPUT_INVALID",
      "This is an edge source: it sends by itself and cannot be reached from here.",
      {
        fix: "Start the backup on the edge client.",
      },
    );
  }
  return connectionParams.parse({
    host: source.host,
    port: source.port,
    username: source.username,
    host_key: source.hostKey,
    credential_id: source.credentialId,
  });
}
