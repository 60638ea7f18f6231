import {
  and,
  desc,
  eq,
  inArray,
  lt,
  ne,
  or,
  snapshots,
  type SnapshotRow,
  sources,
  type TenantTx,
  sql,
} from "@xvault/db";
import { isId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { toJob } from "../jobs/dto.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { SnapshotService } from "../services.ts";
import { findSource } from "../sources/find.ts";
import { copiesOf } from "../storages/copies.ts";
import { keyHolder, keyHolders, manifestOf, toCopy, toSnapshot } from "./dto.ts";
import { findServer } from "./holder.ts";
import { hold, pin, unpin } from "./pins.ts";
import { removeSnapshot } from "./remove.ts";
import { issueTicket } from "./tickets.ts";

export function createSnapshotService(deps: ServiceDeps): SnapshotService {
  const { db } = deps;

  /** A snapshot of the caller's by its id, or by a unique ending of at least four digits, as people type it. */
  async function find(
    tx: TenantTx,
    caller: Caller,
    id: string,
  ): Promise<{ row: SnapshotRow; source: typeof sources.$inferSelect | null }> {
    if (!/^[0-9a-fA-F-]{4,36}$/.test(id)) throw new XVaultError("NOT_FOUND", "There is no such snapshot.");
    const match = isId(id) ? eq(snapshots.id, id) : sql`${snapshots.id}::text like ${`%${id.toLowerCase()}`}`;
    const found = await tx
      .select({ row: snapshots, source: sources })
      .from(snapshots)
      .leftJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
      .where(and(eq(snapshots.tenantId, caller.actor.workspace.id), ne(snapshots.state, "pending"), match))
      .limit(2);
    const [only, another] = found;
    if (!only) throw new XVaultError("NOT_FOUND", "There is no such snapshot.");
    if (another)
      throw new XVaultError("INPUT_INVALID", `More than one snapshot ends in ${id}.`, {
        fix: "Give more digits of the id.",
      });
    return only;
  }

  /** The same, where there is something to be read. */
  async function findThere(tx: TenantTx, caller: Caller, id: string) {
    const found = await find(tx, caller, id);
    if (found.row.state === "expired") throw new XVaultError("NOT_FOUND", "This snapshot was removed.");
    return found;
  }

  /** Changes a snapshot and shows it as it is then. */
  const change = (caller: Caller, id: string, work: (tx: TenantTx, row: SnapshotRow) => Promise<void>) =>
    db.withTenant(caller.actor.workspace.id, async (tx) => {
      await work(tx, (await find(tx, caller, id)).row);
      const { row, source } = await find(tx, caller, id);
      const holders = await keyHolders(tx, caller.actor.workspace.id);
      return toSnapshot(row, source, holders, await copiesOf(tx, caller.actor.workspace.id, [row.id]));
    });

  return {
    pin: (caller, input) => change(caller, input.id, (tx, row) => pin(tx, caller, row, input, deps.clock.now())),
    unpin: (caller, id) => change(caller, id, (tx, row) => unpin(tx, caller, row)),
    hold: (caller, input) => change(caller, input.id, (tx, row) => hold(tx, caller, row, input, deps.clock.now())),

    list: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const filters = [
          eq(snapshots.tenantId, caller.actor.workspace.id),
          inArray(snapshots.state, ["complete", "lost"]),
        ];
        if (input.source_id) filters.push(eq(snapshots.sourceId, (await findSource(tx, caller, input.source_id)).id));
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const older = or(lt(snapshots.createdAt, at), and(eq(snapshots.createdAt, at), lt(snapshots.id, id)));
          if (older) filters.push(older);
        }
        const rows = await tx
          .select({ row: snapshots, source: sources })
          .from(snapshots)
          .leftJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
          .where(and(...filters))
          .orderBy(desc(snapshots.createdAt), desc(snapshots.id))
          .limit(input.limit + 1);
        const holders = await keyHolders(tx, caller.actor.workspace.id);
        const copies = await copiesOf(
          tx,
          caller.actor.workspace.id,
          rows.map(({ row }) => row.id),
        );
        return toPage(
          rows,
          input.limit,
          ({ row, source }) =>
            toSnapshot(
              row,
              source,
              holders,
              copies.filter(({ copy }) => copy.snapshotId === row.id),
            ),
          ({ row }) => ({ at: row.createdAt, id: row.id }),
        );
      }),

    get: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { row, source } = await find(tx, caller, id);
        const holders = await keyHolders(tx, caller.actor.workspace.id);
        const copies = await copiesOf(tx, caller.actor.workspace.id, [row.id]);
        return {
          ...toSnapshot(row, source, holders, copies),
          manifest: manifestOf(row),
          all_copies: copies.map(toCopy),
        };
      }),

    async remove(caller, input) {
      const { queued, source } = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const found = await find(tx, caller, input.id);
        return { ...found, queued: await removeSnapshot(tx, caller, found.row, input, deps.clock.now()) };
      });
      for (const job of queued) await announceJob(deps, job);
      const [first] = queued;
      if (!first)
        throw new XVaultError("ARTIFACT_MISSING", "The snapshot had no copy left; it is out of the list now.");
      return toJob(first, source);
    },

    async browseTicket(caller, snapshotId) {
      const { row, holder } = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const found = await findThere(tx, caller, snapshotId);
        if ((await keyHolder(tx, caller.actor.workspace.id, found.row.keyFingerprints)) === "customer") {
          throw new XVaultError("KEY_CUSTOMER_HELD");
        }
        const worker = await findServer(tx, caller.actor.workspace.id, found.row.id, deps.clock.now());
        await auditCall(tx, caller, "snapshot.browsed", { kind: "snapshot", id: found.row.id });
        return { row: found.row, holder: worker };
      });
      return issueTicket(deps, caller, { row, kind: "browse", paths: [] }, holder);
    },

    async downloadTicket(caller, input) {
      if (input.format === "file" && input.paths.length !== 1) {
        throw new XVaultError("INPUT_INVALID", "The format 'file' needs exactly one path.");
      }
      const { row, holder } = await db.withTenant(caller.actor.workspace.id, async (tx) => {
        const found = await findThere(tx, caller, input.snapshot_id);
        const keyAt = await keyHolder(tx, caller.actor.workspace.id, found.row.keyFingerprints);
        if (input.format !== "raw" && keyAt === "customer") throw new XVaultError("KEY_CUSTOMER_HELD");
        const worker = await findServer(tx, caller.actor.workspace.id, found.row.id, deps.clock.now());
        await auditCall(
          tx,
          caller,
          "snapshot.downloaded",
          { kind: "snapshot", id: found.row.id },
          { format: input.format, paths: input.paths.slice(0, 50) },
        );
        return { row: found.row, holder: worker };
      });
      const ticket = await issueTicket(deps, caller, { row, kind: input.format, paths: input.paths }, holder);
      const url =
        input.format === "raw" ? null : `${ticket.data_url}/v1/download?ticket=${encodeURIComponent(ticket.ticket)}`;
      return { ...ticket, url };
    },
  };
}
