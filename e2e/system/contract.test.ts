// The REST API held against its own OpenAPI document: every operation, every status and code that it names, by a client that knows only the
// document. What it cannot know (which things there are, how they come into a state that is refused) stands in ./contract.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Source, Storage } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addMember, addSource, backUp, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bearer, type Callers, inWorkspace, makeCallers } from "./contract/callers.ts";
import {
  type Answered,
  codeOf,
  type Contract,
  type Operation,
  readContract,
  type Schema,
  send,
  type Sent,
} from "./contract/document.ts";
import { BODY_IDS, bucket, IDS, ingest, WISHES, type World } from "./contract/fixtures.ts";
import { DESERTED, OUT_OF_REACH, REFUSALS } from "./contract/refusals.ts";

const missing = sshdAvailable();
const FIXTURES = "e2e/system/contract/fixtures.ts";
const TABLE = "e2e/system/contract/refusals.ts";
const NOBODY = "00000000-0000-4000-8000-000000000000";
const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;
/** One byte more than a body may have. */
const TOO_LARGE = JSON.stringify("x".repeat(2 * 1024 * 1024 - 1));

/** So many calls at once, where none of them changes anything. */
const MANY = 8;

/** Sends a call and notes what is wrong with its answer, beyond what the client found: another status, or another code. */
type Ask = (what: string, sent: Sent, expected: number | string) => Promise<void>;

describe.skipIf(missing !== null)(`the REST API's contract${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let world: World;
  let contract: Contract;
  let callers: Callers;
  /** A token with every scope that is asked for. */
  let all: string;
  let adminToken: string;

  const session = () => inWorkspace(world.tenant.accessToken, world.tenant.workspaceId);
  const credentialFor = (operation: Operation) => {
    if (operation.isPublic) return {};
    if (operation.platform) return bearer(adminToken);
    return operation.scope === null ? session() : bearer(all);
  };
  const parameterNames = (operation: Operation, place: string) =>
    operation.parameters.filter((one) => one.in === place).map((one) => one.name);

  beforeAll(async () => {
    // A proxy in front is believed, so that a call can come from any address.
    const env = { hub: { XVAULT_ALLOWED_RANGES: "127.0.0.0/8", TRUST_PROXY: "1", XVAULT_WORKSPACE_RCLONE: "1" } };
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1, env }), startSshd()]);
    mkdirSync(join(sshd.home, "tree"));
    const canary = join(sshd.home, "tree/canary.txt");
    writeFileSync(join(sshd.home, "tree/file.txt"), "one\n");
    writeFileSync(canary, "two\n");
    const [tenant, stranger, viewer] = await Promise.all([stack.signUp(), stack.signUp(), stack.signUp()]);
    contract = await readContract(stack.url);
    await addMember(stack.url, tenant, viewer, "viewer");
    const tokenFor = async (scopes: string[]) =>
      (await tenant.web.mutate<{ token: string }>("tokens.create", { name: scopes[0], scopes })).token;
    all = await tokenFor([...new Set(contract.operations.flatMap(({ scope }) => scope || []))]);

    const paths = [join(sshd.home, "tree")];
    const [source, gone] = await Promise.all([
      addSource(tenant, sshd, { paths }),
      addSource(tenant, sshd, { paths, name: "gone" }),
    ]);
    const edge = await tenant.api.post<{ id: string }>("/sources", { source_id: "an edge" });
    await tenant.api.patch(`/sources/${source.id}`, { options: { canaries: [canary] } });
    const [first, base] = await Promise.all([backUp(tenant, source), backUp(tenant, gone)]);
    writeFileSync(canary, "another\n");
    const [, spare] = await Promise.all([backUp(tenant, source), backUp(tenant, gone)]);
    await tenant.api.remove(`/sources/${gone.id}`);
    const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
    const admin = await stack.admin();
    adminToken = admin.bearer ?? "";
    world = {
      stack,
      sshd,
      tenant,
      admin,
      stranger,
      viewer,
      sourceId: source.id,
      edgeId: edge.id,
      connection: connectionOf(source),
      jobId: first.id,
      snapshotId: first.snapshot_id,
      spareSnapshotId: spare.snapshot_id,
      spareJobId: spare.id,
      baseSnapshotId: base.snapshot_id,
      packageId: await ingest({ tenant }),
      disksId: items.find(({ kind }) => kind === "local_fs")?.id ?? "",
      bucketId: await bucket({ tenant }),
    };
    callers = await makeCallers(world, tokenFor);
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  /** A call that ought to succeed, but for what is `changed`: the example, with the ids of things that there are. */
  async function validCall(operation: Operation, changed: Partial<Sent> = {}): Promise<Sent> {
    const wish = WISHES[operation.id] ?? {};
    const path: Record<string, string> = { ...changed.path };
    for (const name of parameterNames(operation, "path")) {
      if (name in path) continue;
      const prefix = operation.path.slice(0, operation.path.indexOf(`{${name}}`));
      const make = wish.id ?? IDS[prefix];
      if (!make)
        throw new Error(`nothing to put into ${operation.path}: say in ${FIXTURES} which id belongs after ${prefix}`);
      path[name] = await make(world);
    }
    const query = Object.fromEntries(
      operation.parameters
        .filter((one) => one.in === "query" && one.required === true)
        .map((one) => [one.name, String(one.example)]),
    );
    const body = changed.body ?? wish.body?.(world) ?? withRealIds(operation.body?.example);
    return {
      path,
      query: changed.query ?? wish.query?.(world) ?? query,
      ...(operation.body ? { body } : {}),
      headers: credentialFor(operation),
    };
  }

  function withRealIds(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(withRealIds);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, one]: [string, unknown]) => {
        const real = typeof one === "string" && UUID.test(one) ? BODY_IDS[name] : undefined;
        return [name, real ? real(world) : withRealIds(one)];
      }),
    );
  }

  const judge = (operation: Operation, what: string, answer: Answered, expected: number | string): string[] => {
    const name = `${operation.method} ${operation.path} (${operation.id}), ${what}`;
    const faults = answer.faults.map((fault) => `${name}: ${fault}`);
    const got = typeof expected === "number" ? answer.status : codeOf(answer.body);
    if (got !== expected) {
      const said = JSON.stringify(answer.body).slice(0, 300);
      faults.push(`${name}: ${answer.status} instead of ${expected}: ${said}`);
    }
    return faults;
  };
  const asker =
    (operation: Operation, faults: string[]): Ask =>
    async (what, sent, expected) => {
      faults.push(...judge(operation, what, await send(stack.url, contract, operation, sent), expected));
    };

  /** Goes through all operations in their order, so many at once; more than one only where they change nothing. */
  async function overAll(atOnce: number, check: (operation: Operation, ask: Ask) => Promise<void>): Promise<string[]> {
    const faults: string[] = [];
    const rest = contract.operations.values();
    const goThrough = async () => {
      for (const operation of rest) {
        await check(operation, asker(operation, faults)).catch((error: unknown) =>
          faults.push(`${operation.id}: ${String(error)}`),
        );
      }
    };
    await Promise.all(Array.from({ length: atOnce }, goThrough));
    return faults;
  }
  const anyPath = (operation: Operation) =>
    Object.fromEntries(parameterNames(operation, "path").map((name) => [name, NOBODY]));

  it("who may not is answered 401, 403 or 404, before anything else is looked at", async () => {
    const faults = await overAll(MANY, async (operation, ask) => {
      const sent = { path: anyPath(operation), ...(operation.body ? { body: {} } : {}) };
      for (const [code, headersOf] of Object.entries(callers)) {
        if (!operation.codes.has(code) || (operation.isPublic && code !== "ORIGIN_DENIED")) continue;
        await ask(`as ${code} is`, { ...sent, headers: headersOf(operation) }, code);
      }
    });
    expect(faults).toEqual([]);
  });

  it("what is not there is answered 404, what is not as described 400, and what is too large 413", async () => {
    const faults = await overAll(MANY, async (operation, ask) => {
      const headers = credentialFor(operation);
      const names = parameterNames(operation, "path");
      const valid = { ...(await validBody(operation)), headers };
      const path = anyPath(operation);
      // A word of a closed list is no id.
      const closed = operation.parameters.some((one) => one.in === "path" && contract.resolve<Schema>(one.schema).enum);
      if (names.length > 0) {
        await ask("with an unknown id", { ...valid, path }, closed ? "INPUT_INVALID" : "NOT_FOUND");
        const long = Object.fromEntries(names.map((name) => [name, "x".repeat(300)]));
        await ask("with an id that is none", { ...valid, path: long }, "INPUT_INVALID");
      }
      for (const { name, schema } of operation.parameters.filter((one) => one.in === "query")) {
        const { type, enum: values } = contract.resolve<Schema>(schema);
        if (type !== "integer" && type !== "number" && !values) continue;
        const query = { ...valid.query, [name]: "nonsense" };
        await ask(`with a wrong ${name}`, { ...valid, path, query }, "INPUT_INVALID");
      }
      if (operation.method === "GET") return;
      await ask("with a body that is no object", { ...valid, path, body: [] }, "INPUT_INVALID");
      await ask("with too large a body", { ...valid, path, raw: TOO_LARGE }, "BODY_TOO_LARGE");
      const field = operation.body ? wrongField(operation.body.schema) : undefined;
      if (field === undefined) return;
      const body = { ...(valid.body as object), [field]: { of: "another kind" } };
      await ask(`with a wrong ${field}`, { ...valid, path, body }, "INPUT_INVALID");
    });
    expect(faults).toEqual([]);
  });

  /** The query and body of a valid call, without making anything for its path. */
  async function validBody(operation: Operation): Promise<Sent> {
    return validCall({ ...operation, parameters: operation.parameters.filter((one) => one.in !== "path") });
  }

  /** A field that takes no object, so that one is wrong. */
  function wrongField(schema: Schema): string | undefined {
    const found = Object.entries(schema.properties ?? {}).find(([, property]) => {
      const { type } = contract.resolve<Schema>(property);
      return type !== undefined && ![type].flat().includes("object");
    });
    return found?.[0];
  }

  /** Goes through a table of refusals: the operations of each code at once. */
  async function refuse(table: typeof REFUSALS): Promise<string[]> {
    const faults: string[] = [];
    for (const [code, { enter, leave, allBut, calls = {} }] of Object.entries(table)) {
      for (const id of Object.keys(calls)) {
        const named = contract.operations.some((operation) => operation.id === id && operation.codes.has(code));
        if (!named) faults.push(`${TABLE} has a recipe for ${code} of ${id}, whose description names no such error`);
      }
      const meant = contract.operations.filter(
        ({ id, codes }) => codes.has(code) && (id in calls || (allBut !== undefined && !allBut.includes(id))),
      );
      await enter?.(world);
      const work = meant.map(async (operation) => {
        const sent = await validCall(operation, await calls[operation.id]?.(world));
        await asker(operation, faults)(`so that it is ${code}`, sent, code);
      });
      for (const result of await Promise.allSettled(work)) {
        if (result.status === "rejected") faults.push(`${code}: ${String(result.reason)}`);
      }
      await leave?.(world);
    }
    return faults;
  }

  it("what cannot be done as things stand is refused with the code that is named for it", async () => {
    expect(await refuse(REFUSALS)).toEqual([]);
  });

  it("a valid call is answered as described, whatever it is about; its key is good for it alone", async () => {
    const order = (operation: Operation) => (operation.method === "DELETE" ? 1 : 0);
    contract.operations.sort((a, b) => order(a) - order(b));
    const faults = await overAll(1, async (operation, ask) => {
      const sent = await validCall(operation);
      const takesKey = parameterNames(operation, "header").includes("Idempotency-Key");
      const headers = { ...sent.headers, ...(takesKey ? { "idempotency-key": `of ${operation.id}` } : {}) };
      await ask("as it should be", { ...sent, headers }, 200);
      if (!takesKey) return;
      const other = { ...(sent.body as object), also: "this" };
      await ask("with the key of another call", { ...sent, headers, body: other }, "IDEMPOTENCY_KEY_REUSED");
      // As a hub leaves it that dies in the middle.
      await stack.sql`
        update idempotency_keys set status = null, body = null where key = ${headers["idempotency-key"] ?? ""}`;
      await ask("while the first with its key is at work", { ...sent, headers }, "CONFLICT");
    });
    expect(faults).toEqual([]);
    expect(contract.operations.length).toBeGreaterThan(45);
  });

  it("the tables name no operation that is gone", () => {
    const ids = contract.operations.map((operation) => operation.id);
    expect(Object.keys(WISHES).filter((id) => !ids.includes(id))).toEqual([]);
    const unused = Object.keys(IDS).filter(
      (prefix) => !contract.operations.some(({ path }) => path.startsWith(`${prefix}{`)),
    );
    expect(unused).toEqual([]);
  });

  describe("an idempotency key", () => {
    const post = (tenant: Tenant, path: string, body: unknown, key: string, token = tenant.token) =>
      fetch(`${stack.url}/api/v1${path}`, {
        method: "POST",
        headers: { ...bearer(token), "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify(body),
      });
    const body = { source_id: "once", path: "home" };

    it("carries a call out once, however often it is sent", async () => {
      const { tenant } = world;
      const first = await post(tenant, "/ingest", body, "key-1");
      const answer = await first.text();
      expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([200, null]);
      const again = await post(tenant, "/ingest", body, '"key-1"');
      expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
      expect(await again.text()).toBe(answer);
      const { items } = await tenant.api.get<{ items: unknown[] }>("/packages?source_id=once");
      expect(items).toHaveLength(1);
      const other = await post(tenant, "/ingest", { ...body, path: "elsewhere" }, "key-1");
      expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
      // Another token's key of the same name is another key.
      expect((await post(tenant, "/ingest", body, "key-1", all)).headers.get("idempotent-replayed")).toBeNull();
    });

    it("carries one of many out at once; the others are told to wait or get its answer", async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => post(world.tenant, "/ingest", body, "key-2")));
      const ids = new Set<string>();
      for (const answer of answers) {
        expect([200, 409]).toContain(answer.status);
        if (answer.status === 200) ids.add(((await answer.json()) as { job_id: string }).job_id);
      }
      expect(ids.size).toBe(1);
    });

    it("keeps refusals as they were, and leaves alone what was never understood", async () => {
      const { tenant } = world;
      const paused = await tenant.api.post<{ id: string }>("/sources", { source_id: "paused" });
      await tenant.api.post(`/sources/${paused.id}/pause`);
      const into = { source_id: "paused", path: "home" };
      const refused = await post(tenant, "/ingest", into, "key-3");
      await tenant.api.post(`/sources/${paused.id}/resume`);
      const replayed = await post(tenant, "/ingest", into, "key-3");
      expect([replayed.status, replayed.headers.get("content-type")]).toEqual([
        409,
        refused.headers.get("content-type"),
      ]);
      expect(await replayed.json()).toEqual(await refused.json());
      expect((await post(tenant, "/ingest", { path: 1 }, "key-4")).status).toBe(400);
      expect((await post(tenant, "/ingest", body, "key-4")).status).toBe(200);
      expect((await post(tenant, "/ingest", body, "x".repeat(256))).status).toBe(400);
    });

    it("leaves no secret in clear: the recovery kit is answered again, and only sealed in the database", async () => {
      const kit = await post(world.tenant, "/keys/recovery-kit", {}, "key-5");
      const again = await post(world.tenant, "/keys/recovery-kit", {}, "key-5");
      const { content } = (await kit.json()) as { content: string };
      expect(await again.json()).toMatchObject({ content });
      const rows = await stack.sql<{ row: string }>`select k::text as row from idempotency_keys k where key = 'key-5'`;
      expect(rows).toHaveLength(1);
      expect(rows[0]?.row).not.toMatch(/AGE-SECRET-KEY/);
    });
  });

  it("where no worker is left, what needs one says so at once", async () => {
    const admin = await stack.admin();
    for (const { id } of stack.workers) await admin.mutate("admin.revokeWorker", { id });
    expect(await refuse(DESERTED)).toEqual([]);
  });

  it("whoever asks too much is told to wait, by every operation", async () => {
    const from = { "x-forwarded-for": "203.0.113.7" };
    let refused = false;
    const ask = async () => {
      while (!refused) {
        const answer = await fetch(`${stack.url}/api/v1/nothing`, { headers: from });
        await answer.arrayBuffer();
        refused = answer.status === 429;
      }
    };
    await Promise.all(Array.from({ length: 16 }, ask));
    const faults = await overAll(MANY, async (operation, ask) => {
      const headers = { ...credentialFor(operation), ...from };
      await ask("after too many", { path: anyPath(operation), headers }, "RATE_LIMITED");
    });
    expect(faults).toEqual([]);
  });

  it("a failure inside is told as what every operation leaves to it", async () => {
    await stack.sql`alter table users rename to users_away`;
    await stack.sql`alter table workers rename to workers_away`;
    const faults = await overAll(MANY, async (operation, ask) => {
      const sent = { ...(await validBody(operation)), path: anyPath(operation) };
      await ask("without the database's tables", sent, "INTERNAL");
    });
    await stack.sql`alter table users_away rename to users`;
    await stack.sql`alter table workers_away rename to workers`;
    expect(faults).toEqual([]);
  });

  it("nothing that the document names was left out", () => {
    const left = contract.operations.flatMap(({ id, responses, codes }) => {
      const statuses = Object.keys(responses).filter((status) => !contract.seen.has(`${id} ${status}`));
      const reachable = [...codes.keys()].filter((code) => !(code in OUT_OF_REACH || `${id} ${code}` in OUT_OF_REACH));
      return [...statuses, ...reachable.filter((code) => !contract.seen.has(`${id} ${code}`))].map(
        (what) => `${id} names ${what}, which nothing brought about: give it a recipe in ${TABLE}, or do not name it`,
      );
    });
    expect(left).toEqual([]);
    const named = (key: string) =>
      contract.operations.some(({ id, codes }) =>
        [...codes.keys()].some((code) => key === code || key === `${id} ${code}`),
      );
    const seen = (key: string) => [...contract.seen].some((one) => one === key || one.endsWith(` ${key}`));
    expect(Object.keys(OUT_OF_REACH).filter((key) => !named(key) || seen(key))).toEqual([]);
  });
});

function connectionOf({ connection }: Source): World["connection"] {
  if (connection === null) throw new Error("the source has no connection");
  const { host, port, username, host_key, credential } = connection;
  return { host, port, username, host_key, credential_id: credential.id };
}
