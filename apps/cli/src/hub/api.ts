import * as C from "@xvault/contracts";
import { z } from "zod";
import { at, type HubClient } from "./client.ts";

const nothing = z.object({});
const items = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });
const infoSchema = z.object({ version: z.string(), root_keys: z.array(z.string()) });

/** The calls of the public API that the command line makes, each with the contract of its answer. */
export function hubApi(hub: HubClient) {
  const get = <T>(path: string, answer: z.ZodType<T>, query?: Record<string, string | number | undefined>) =>
    hub.send({ method: "GET", path, answer, ...(query ? { query } : {}) });
  const post = <T>(path: string, answer: z.ZodType<T>, body: object = {}) =>
    hub.send({ method: "POST", path, answer, body });

  return {
    info: () => get("/info", infoSchema),
    signIn: (input: z.input<typeof C.tokenSignInInput>) => post("/auth/token", C.tokenSignInOutput, input),
    me: () => get("/me", C.meSchema),

    sources: async () => (await get("/sources", items(C.sourceSchema))).items,
    createSource: (input: C.CreateSource) => post("/sources", C.sourceSchema, input),
    removeSource: (id: string) => hub.send({ method: "DELETE", path: at`/sources/${id}`, answer: nothing }),
    createCredential: (credential: z.input<typeof C.createCredentialInput>) =>
      post("/credentials", C.credentialSchema, { credential }),
    probe: (address: { host: string; port: number }) => post("/connections/host-key", C.hostKeySchema, address),
    test: (input: z.input<typeof C.tryConnectionInput> & { paths?: string[] }) =>
      post("/connections/test", C.preflightResultSchema, input),
    backUp: (sourceId: string, options: { full?: boolean } = {}) =>
      post(at`/sources/${sourceId}/backup`, C.jobSchema, options),

    jobs: (query: { state?: string; source_id?: string; limit?: number; cursor?: string }) =>
      get("/jobs", C.pageSchema(C.jobSchema), query),
    job: (id: string) => get(at`/jobs/${id}`, C.jobSchema),
    jobEvents: async (id: string, after: number) =>
      (await get(at`/jobs/${id}/events`, items(C.jobEventSchema), { after })).items,
    cancel: (id: string) => post(at`/jobs/${id}/cancel`, C.jobSchema),

    storages: async () => (await get("/storages", items(C.storageSchema))).items,
    createStorage: (input: z.input<typeof C.createStorageInput>) => post("/storages", C.storageSchema, input),
    testStorage: (id: string) => post(at`/storages/${id}/test`, C.storageTestSchema),
    placeSource: (id: string, storageIds: string[]) =>
      hub.send({
        method: "PUT",
        path: at`/sources/${id}/placement`,
        answer: C.placementSchema,
        body: { storage_ids: storageIds },
      }),
    platformStorages: async () => (await get("/platform/storages", items(C.platformStorageSchema))).items,
    updatePlatformStorage: (id: string, input: Omit<z.input<typeof C.updatePlatformStorageInput>, "id">) =>
      hub.send({ method: "PATCH", path: at`/platform/storages/${id}`, answer: C.platformStorageSchema, body: input }),
    storageKeys: async (id: string) => (await get(at`/platform/storages/${id}/keys`, items(C.storageKeySchema))).items,
    setStorageKey: (id: string, tenantId: string, secret: C.StorageSecret) =>
      hub.send({
        method: "PUT",
        path: at`/platform/storages/${id}/keys/${tenantId}`,
        answer: nothing,
        body: { secret },
      }),
    removeStorageKey: (id: string, tenantId: string) =>
      hub.send({ method: "DELETE", path: at`/platform/storages/${id}/keys/${tenantId}`, answer: nothing }),
    copySnapshot: (id: string, input: { storage_id: string; move_from?: string }) =>
      post(at`/snapshots/${id}/copies`, C.jobSchema, input),

    snapshots: (query: { source_id?: string; limit?: number; cursor?: string }) =>
      get("/snapshots", C.pageSchema(C.snapshotSchema), query),
    snapshot: (id: string) => get(at`/snapshots/${id}`, C.snapshotDetailSchema),
    removeSnapshot: (id: string, reason?: string) =>
      hub.send({
        method: "DELETE",
        path: at`/snapshots/${id}`,
        answer: C.jobSchema,
        ...(reason === undefined ? {} : { query: { reason } }),
      }),
    pin: (id: string, note?: string) =>
      post(at`/snapshots/${id}/pin`, C.snapshotSchema, note === undefined ? {} : { note }),
    unpin: (id: string) => hub.send({ method: "DELETE", path: at`/snapshots/${id}/pin`, answer: C.snapshotSchema }),
    retentionPlan: () => get("/retention/plan", C.planSchema),
    projections: (query: { days: number; limit: number }) => get("/projections", C.projectionsSchema, query),
    check: (id: string, input: { depth: C.CheckDepth | null }) =>
      post(at`/snapshots/${id}/verification`, C.jobSchema, input),
    drill: (id: string, input: { mode: "sample" | "all"; files?: number }) =>
      post(at`/snapshots/${id}/drill`, C.jobSchema, input),
    proofs: (query: { snapshot_id?: string; limit?: number; cursor?: string }) =>
      get("/proofs", C.pageSchema(C.proofSummarySchema), query),
    proof: (id: string) => get(at`/proofs/${id}`, C.restoreProofSchema),
    auditArchives: (query: { limit?: number; cursor?: string }) => get("/audit/archives", C.auditArchivesSchema, query),
    browseTicket: (id: string) => post(at`/snapshots/${id}/browse-ticket`, C.ticketSchema),
    downloadTicket: (id: string, input: { paths?: string[]; format: "tar" | "raw" }) =>
      post(at`/snapshots/${id}/download-ticket`, C.downloadTicketSchema, input),
    restore: (input: z.input<typeof C.createRestoreInput>) => post("/restores", C.jobSchema, input),
    quoteRestore: (input: z.input<typeof C.quoteRestoreInput>) => post("/restores/quote", C.restoreQuoteSchema, input),

    ingest: (input: z.input<typeof C.ingestInput>) => post("/ingest", C.ingestOutput, input),
    package: (id: string) => get(at`/packages/${id}`, C.packageSchema),
    uploadPackage: (id: string) => post(at`/packages/${id}/upload`, C.uploadTicketSchema),

    keys: () => get("/keys", C.keysSchema),
    recoveryKit: () => post("/keys/recovery-kit", C.recoveryKitSchema),
  };
}

export type HubApi = ReturnType<typeof hubApi>;

/** Every item of a paged list, page after page, as far as the caller goes. */
export async function* pagesOf<T>(
  load: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor: string | null }>,
): AsyncGenerator<T, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = await load(cursor);
    yield* page.items;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
