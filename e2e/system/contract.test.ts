// The REST API held against its own OpenAPI document: every operation, every status that it names, by a client that knows only the document.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Storage } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addMember, addSource, backUp, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Answered,
  type Contract,
  type Operation,
  readContract,
  type Schema,
  send,
  type Sent,
} from "./contract/document.ts";
import { BODY_IDS, bucket, IDS, WISHES, type World } from "./contract/fixtures.ts";

const missing = sshdAvailable();
const FILE = "e2e/system/contract/fixtures.ts";
const NOBODY = "00000000-0000-4000-8000-000000000000";
const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

describe.skipIf(missing !== null)(`the REST API's contract${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let world: World;
  let contract: Contract;
  /** Tokens: one with every scope that is asked for, and two with one each. */
  let all: string;
  let few: Record<string, string>;

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const session = () => ({
    ...bearer(world.tenant.accessToken),
    "x-xvault-workspace": world.tenant.workspaceId,
  });
  const credentialFor = (operation: Operation) => {
    if (operation.isPublic) return {};
    return operation.scope === null ? session() : bearer(all);
  };
  const parameterNames = (operation: Operation, place: string) =>
    operation.parameters.filter((one) => one.in === place).map((one) => one.name);

  beforeAll(async () => {
    const env = { hub: { XVAULT_ALLOWED_RANGES: "127.0.0.0/8" } };
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1, env }), startSshd()]);
    mkdirSync(join(sshd.home, "tree"));
    writeFileSync(join(sshd.home, "tree/file.txt"), "one\n");
    const [tenant, stranger, member] = await Promise.all([stack.signUp(), stack.signUp(), stack.signUp()]);
    contract = await readContract(stack.url);
    await addMember(stack.url, tenant, member, "viewer");
    const scopes = [...new Set(contract.operations.flatMap(({ scope }) => scope || []))];
    const tokenFor = async (wanted: string[]) => {
      const input = { name: wanted[0], scopes: wanted };
      return (await tenant.web.mutate<{ token: string }>("tokens.create", input)).token;
    };
    all = await tokenFor(scopes);
    few = { "audit:read": await tokenFor(["audit:read"]), "jobs:read": await tokenFor(["jobs:read"]) };
    const source = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree")] });
    const edge = await tenant.api.post<{ id: string }>("/sources", { source_id: "an edge" });
    const first = await backUp(tenant, source);
    const second = await backUp(tenant, source);
    const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
    world = {
      stack,
      sshd,
      tenant,
      stranger,
      memberId: member.userId,
      sourceId: source.id,
      edgeId: edge.id,
      jobId: first.id,
      snapshotId: first.snapshot_id,
      laterSnapshotId: second.snapshot_id,
      disksId: items.find(({ kind }) => kind === "local_fs")?.id ?? "",
      bucketId: await bucket({ tenant }),
    };
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  /** A call that ought to succeed: the example, with the ids of things that there are. */
  async function validCall(operation: Operation): Promise<Sent> {
    const wish = WISHES[operation.id] ?? {};
    const path: Record<string, string> = {};
    for (const name of parameterNames(operation, "path")) {
      const prefix = operation.path.slice(0, operation.path.indexOf(`{${name}}`));
      const make = wish.id ?? IDS[prefix];
      if (!make)
        throw new Error(`nothing to put into ${operation.path}: say in ${FILE} which id belongs after ${prefix}`);
      path[name] = await make(world);
    }
    const query = Object.fromEntries(
      operation.parameters
        .filter((one) => one.in === "query" && one.required === true)
        .map((one) => [one.name, String(one.example)]),
    );
    const body = wish.body?.(world) ?? withRealIds(operation.body?.example);
    return {
      path,
      query: wish.query?.(world) ?? query,
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

  /** Says what is wrong with an answer, beyond what the client found. */
  const judge = (operation: Operation, what: string, answer: Answered, expected: number): string[] => {
    const name = `${operation.method} ${operation.path} (${operation.id}), ${what}`;
    const faults = answer.faults.map((fault) => `${name}: ${fault}`);
    if (answer.status !== expected) {
      faults.push(`${name}: ${answer.status} instead of ${expected}: ${JSON.stringify(answer.body).slice(0, 300)}`);
    }
    return faults;
  };

  async function overAll(
    check: (operation: Operation, ask: (what: string, sent: Sent, expected: number) => Promise<void>) => Promise<void>,
  ): Promise<string[]> {
    const faults: string[] = [];
    for (const operation of contract.operations) {
      const ask = async (what: string, sent: Sent, expected: number) => {
        faults.push(...judge(operation, what, await send(stack.url, contract, operation, sent), expected));
      };
      await check(operation, ask).catch((error: unknown) => faults.push(`${operation.id}: ${String(error)}`));
    }
    return faults;
  }
  const anyPath = (operation: Operation) =>
    Object.fromEntries(parameterNames(operation, "path").map((name) => [name, NOBODY]));

  it("nobody is answered 401, and a token without the scope 403, before anything else is looked at", async () => {
    const faults = await overAll(async (operation, ask) => {
      if (operation.isPublic) return;
      const sent = { path: anyPath(operation), ...(operation.body ? { body: {} } : {}) };
      await ask("without a token", sent, 401);
      await ask("with a token that is none", { ...sent, headers: bearer("xv_nonsense") }, 401);
      if (operation.scope === "") return;
      const [, token = ""] = Object.entries(few).find(([scope]) => scope !== operation.scope) ?? [];
      await ask("with a token that lacks the scope", { ...sent, headers: bearer(token) }, 403);
    });
    expect(faults).toEqual([]);
  });

  it("what is not there is answered 404, and what is not as described 400", async () => {
    const faults = await overAll(async (operation, ask) => {
      const headers = credentialFor(operation);
      const names = parameterNames(operation, "path");
      const valid = { ...(await validBody(operation)), headers };
      // A word of a closed list is no id.
      const closed = operation.parameters.some((one) => one.in === "path" && contract.resolve<Schema>(one.schema).enum);
      if (names.length > 0) await ask("with an unknown id", { ...valid, path: anyPath(operation) }, closed ? 400 : 404);
      for (const { name, schema } of operation.parameters.filter((one) => one.in === "query")) {
        const { type, enum: values } = contract.resolve<Schema>(schema);
        if (type !== "integer" && type !== "number" && !values) continue;
        const query = { ...valid.query, [name]: "nonsense" };
        await ask(`with a wrong ${name}`, { ...valid, path: anyPath(operation), query }, 400);
      }
      if (!operation.body) return;
      await ask("with a body that is no object", { ...valid, path: anyPath(operation), body: [] }, 400);
      const field = wrongField(operation.body.schema);
      if (field === undefined) return;
      const body = { ...(valid.body as object), [field]: { of: "another kind" } };
      await ask(`with a wrong ${field}`, { ...valid, path: anyPath(operation), body }, 400);
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

  it("a valid call is answered as described, whatever it is about", async () => {
    const order = (operation: Operation) => (operation.method === "DELETE" ? 1 : 0);
    contract.operations.sort((a, b) => order(a) - order(b));
    const faults = await overAll(async (operation, ask) => {
      await ask("as it should be", await validCall(operation), WISHES[operation.id]?.status ?? 200);
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
});
