import type { connectionSchema, SourceOptions } from "@xvault/contracts";
import {
  and,
  credentials,
  eq,
  isNull,
  isUniqueViolation,
  jobs,
  schedules,
  sources,
  type SourceRow,
  type TenantTx,
} from "@xvault/db";
import { newId, type ScheduleId, type SourceId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { ask } from "../jobs/interactive.ts";
import type { ConnectionParams } from "../jobs/params.ts";
import { nextRun } from "../schedules/cron.ts";
import { resolveAlertsOf } from "../notices/alerts.ts";
import { hostKeyConfirmed } from "../notices/host-key.ts";
import type { SourceService } from "../services.ts";
import { place } from "../storages/placement.ts";
import { bindCredential, storeCredential, toCredential } from "./credentials.ts";
import { checkNotAudit } from "./audit-source.ts";
import { connectionOf, findSource } from "./find.ts";
import { checkOptions } from "./options.ts";
import { readSources } from "./read.ts";

type Connection = z.output<typeof connectionSchema>;
type ConnectionChange = { [K in keyof Connection]?: Connection[K] | undefined };

export function createSourceService(deps: ServiceDeps): SourceService {
  const { db, clock, vault } = deps;

  const show = async (tx: TenantTx, caller: Caller, row: SourceRow) => {
    const [source] = await readSources(tx, caller.actor.workspace.id, clock.now(), [row]);
    if (!source) throw new XVaultError("NOT_FOUND");
    return source;
  };

  /** The columns of a connection, after a look that its credential is this workspace's own and may be used for that server. */
  const connectionColumns = async (tx: TenantTx, caller: Caller, connection: ConnectionChange, present?: SourceRow) => {
    if (connection.username !== undefined && /[\s@:\p{Cc}]|^-/u.test(connection.username))
      throw new XVaultError("USERNAME_INVALID");
    const credentialId = connection.credential_id ?? present?.credentialId;
    const host = connection.host ?? present?.host;
    const port = connection.port ?? present?.port;
    if (credentialId && host && port) await bindCredential(tx, caller.actor.workspace.id, credentialId, { host, port });
    return {
      ...(connection.host === undefined ? {} : { host: connection.host }),
      ...(connection.port === undefined ? {} : { port: connection.port }),
      ...(connection.username === undefined ? {} : { username: connection.username }),
      ...(connection.host_key === undefined ? {} : { hostKey: connection.host_key }),
      ...(connection.credential_id === undefined ? {} : { credentialId: connection.credential_id }),
    };
  };

  /** The connection that is being tried and the source it belongs to, if it exists already. */
  const tried = async (
    caller: Caller,
    input: { source_id?: string | undefined; connection?: Connection | undefined },
  ) => {
    if ((input.source_id === undefined) === (input.connection === undefined)) {
      throw new XVaultError("INPUT_INVALID", "Give either source_id or connection.");
    }
    return db.withTenant(
      caller.actor.workspace.id,
      async (tx): Promise<{ connection: ConnectionParams; source: SourceRow | null }> => {
        if (input.connection) {
          await connectionColumns(tx, caller, input.connection);
          return { connection: input.connection, source: null };
        }
        const source = await findSource(tx, caller, input.source_id ?? "");
        return { connection: connectionOf(source), source };
      },
    );
  };

  const change = (caller: Caller, id: string, action: string, columns: (tx: TenantTx) => Promise<Partial<SourceRow>>) =>
    db.withTenant(caller.actor.workspace.id, async (tx) => {
      const source = await findSource(tx, caller, id);
      checkNotAudit(source);
      const [row] = await tx
        .update(sources)
        .set({ ...(await columns(tx)), updatedAt: clock.now() })
        .where(and(eq(sources.tenantId, source.tenantId), eq(sources.id, source.id)))
        .returning();
      if (!row) throw new XVaultError("NOT_FOUND");
      await auditCall(tx, caller, action, { kind: "source", id: source.id });
      return show(tx, caller, row);
    });

  return {
    list: (caller) =>
      db.withTenant(caller.actor.workspace.id, (tx) => readSources(tx, caller.actor.workspace.id, clock.now())),

    get: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => show(tx, caller, await findSource(tx, caller, id))),

    create: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        if (input.connection && input.paths.length === 0)
          throw new XVaultError("INPUT_INVALID", "Name at least one path to back up.");
        if (!input.connection && input.source_id === undefined) {
          throw new XVaultError("INPUT_INVALID", "Give a connection, or a source_id to register an edge source.");
        }
        checkOptions(input.options ?? {});
        const name = input.name ?? input.label ?? input.source_id ?? input.connection?.host ?? "source";
        const connection = input.connection ? await connectionColumns(tx, caller, input.connection) : {};
        const [row] = await tx
          .insert(sources)
          .values({
            id: newId<SourceId>(),
            tenantId,
            name,
            kind: input.connection ? "ssh" : "edge",
            edgeId: input.source_id ?? null,
            ...connection,
            paths: input.paths,
            excludes: input.excludes,
            options: input.options ?? {},
            packageType: input.package_type ?? "user_data",
            state: "active",
          })
          .returning()
          .catch((error: unknown) => {
            if (isUniqueViolation(error))
              throw new XVaultError("CONFLICT", "A source with this source_id exists already.");
            throw error;
          });
        if (!row) throw new XVaultError("INTERNAL");
        if (input.schedule) {
          await tx.insert(schedules).values({
            id: newId<ScheduleId>(),
            tenantId,
            sourceId: row.id,
            cron: input.schedule.cron,
            timezone: input.schedule.timezone,
            enabled: true,
            nextRunAt: nextRun(input.schedule.cron, input.schedule.timezone, clock.now()),
          });
        }
        if (input.storage_ids) await place(tx, tenantId, row.id, input.storage_ids);
        const placed = input.storage_ids ? { storages: input.storage_ids } : {};
        const about = { name, source_kind: row.kind, ...placed };
        await auditCall(tx, caller, "source.created", { kind: "source", id: row.id }, about);
        return show(tx, caller, row);
      }),

    update: (caller, input) =>
      change(caller, input.id, "source.updated", async (tx) => {
        const source = await findSource(tx, caller, input.id);
        const connection = input.connection ? await connectionColumns(tx, caller, input.connection, source) : {};
        const options = { ...(source.options as Partial<SourceOptions>), ...input.options };
        if (input.options) checkOptions(options);
        // A host key that somebody has just confirmed ends the pause that its change had caused.
        const resumed = input.connection?.host_key ? { state: "active" as const, pausedReason: null } : {};
        if (input.connection?.host_key) await hostKeyConfirmed(tx, deps, source);
        return {
          ...connection,
          ...resumed,
          ...(input.name === undefined ? {} : { name: input.name }),
          ...(input.paths === undefined ? {} : { paths: input.paths }),
          ...(input.excludes === undefined ? {} : { excludes: input.excludes }),
          ...(input.options === undefined ? {} : { options }),
          ...(input.package_type === undefined ? {} : { packageType: input.package_type }),
        };
      }),

    remove: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const source = await findSource(tx, caller, id);
        checkNotAudit(source);
        const mine = and(eq(sources.tenantId, source.tenantId), eq(sources.id, source.id), isNull(sources.deletedAt));
        await tx
          .update(sources)
          .set({ deletedAt: clock.now(), edgeId: null, credentialId: null, state: "paused" })
          .where(mine);
        await tx
          .delete(schedules)
          .where(and(eq(schedules.tenantId, source.tenantId), eq(schedules.sourceId, source.id)));
        if (source.credentialId) {
          const used = and(eq(sources.tenantId, source.tenantId), eq(sources.credentialId, source.credentialId));
          const [other] = await tx.select({ id: sources.id }).from(sources).where(used).limit(1);
          // A login that several sources use goes with the last of them.
          if (!other) {
            await tx
              .delete(credentials)
              .where(and(eq(credentials.tenantId, source.tenantId), eq(credentials.id, source.credentialId)));
          }
        }
        const ofSource = and(eq(jobs.tenantId, source.tenantId), eq(jobs.sourceId, source.id));
        await tx
          .update(jobs)
          .set({ state: "cancelled", cancelRequestedAt: clock.now(), finishedAt: clock.now() })
          .where(and(ofSource, eq(jobs.state, "queued")));
        await tx
          .update(jobs)
          .set({ cancelRequestedAt: clock.now() })
          .where(and(ofSource, eq(jobs.state, "running"), eq(jobs.type, "backup")));
        await auditCall(tx, caller, "source.removed", { kind: "source", id: source.id }, { name: source.name });
        const subject = { kind: "source", id: source.id };
        await resolveAlertsOf(tx, deps, { tenantId: caller.actor.workspace.id, subject }, "The source was removed.");
      }),

    setPaused: (caller, id, paused) =>
      change(caller, id, paused ? "source.paused" : "source.resumed", async () => ({
        state: paused ? "paused" : "active",
        pausedReason: paused ? "Paused by hand." : null,
      })),

    createCredential: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const row = await storeCredential(tx, vault, caller.actor.workspace.id, input, "xvault");
        await auditCall(
          tx,
          caller,
          "credential.created",
          { kind: "credential", id: row.id },
          { credential_kind: row.kind },
        );
        return toCredential(row);
      }),

    probe: async (caller, address) => {
      const answer = await ask(deps, {
        tenantId: caller.actor.workspace.id,
        type: "probe",
        params: address,
        sourceId: null,
        requestedBy: caller.actor.userId,
      });
      return answer.host_key;
    },

    test: async (caller, input) => {
      const { connection, source } = await tried(caller, input);
      const answer = await ask(deps, {
        tenantId: caller.actor.workspace.id,
        type: "preflight",
        params: { connection, paths: input.paths.length > 0 ? input.paths : (source?.paths ?? []) },
        sourceId: source?.id ?? null,
        requestedBy: caller.actor.userId,
      });
      return { ok: answer.checks.every((check) => check.status !== "failed"), checks: answer.checks };
    },

    browse: async (caller, input) => {
      const { connection, source } = await tried(caller, input);
      const answer = await ask(deps, {
        tenantId: caller.actor.workspace.id,
        type: "browse",
        params: { connection, path: input.path },
        sourceId: source?.id ?? null,
        requestedBy: caller.actor.userId,
      });
      return answer.listing;
    },
  };
}
