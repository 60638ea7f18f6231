import type { SourceRow, TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { raiseAlert, resolveAlert } from "./alerts.ts";
import { emitEvent } from "./events.ts";

type Named = Pick<SourceRow, "id" | "tenantId" | "name">;

const about = (source: Named) => ({
  tenantId: source.tenantId as TenantId,
  kind: "host_key_changed",
  subject: { kind: "source", id: source.id },
});

/** Tells of a server that showed another key than the confirmed one; its source is paused. */
export async function tellHostKeyChanged(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, source: Named): Promise<void> {
  const { tenantId, subject } = about(source);
  await emitEvent(tx, tenantId, "source.host_key_changed", subject, { source_name: source.name });
  await raiseAlert(tx, deps, {
    ...about(source),
    severity: "critical",
    message: `The server of ${source.name} showed another host key than the confirmed one; nothing was sent to it.`,
    fix: "If the server was reinstalled, confirm its new key on the source's page; otherwise treat it as an attack.",
  });
}

/** A key was confirmed by somebody: the alert has done its work. */
export async function hostKeyConfirmed(tx: TenantTx, deps: Pick<ServiceDeps, "clock">, source: Named): Promise<void> {
  await resolveAlert(tx, deps, about(source), "The server's host key was confirmed.");
}
