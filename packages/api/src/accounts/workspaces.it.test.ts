import type { Role } from "@xvault/contracts";
import { eq, memberships, openDatabase, sql } from "@xvault/db";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { appRouter } from "../routers/index.ts";
import { Browser } from "./test/browser.ts";
import { startTestHub, type TestHub } from "./test/hub.ts";

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

const ROLES: Role[] = ["viewer", "operator", "admin", "owner"];
let team: Record<Role, Browser>;
let ids: Record<Role, string>;
let round = 0;

const userId = async (browser: Browser) => {
  const me: { user: { id: string } } = (await browser.query("auth.me", {})).data;
  return me.user.id;
};

/** A workspace with one member of each role, fresh for every test. */
beforeEach(async () => {
  round += 1;
  const owner = await hub.signUp(`owner${round}`);
  const made: Partial<Record<Role, Browser>> = { owner };
  for (const role of ["viewer", "operator", "admin"] as const) {
    const person = await hub.signUp(`${role}${round}`);
    const added = await owner.mutate("workspaces.addMember", { email: `${role}${round}@example.org`, role });
    if (added.code !== null) throw new Error(`adding a member failed: ${added.text}`);
    person.workspace = owner.workspace;
    made[role] = person;
  }
  team = made as Record<Role, Browser>;
  const found = await Promise.all(ROLES.map(async (role) => [role, await userId(team[role])] as const));
  ids = Object.fromEntries(found) as Record<Role, string>;
});

describe("roles", () => {
  test.each<[string, Role, (browser: Browser) => Promise<{ code: string | null }>]>([
    ["list members", "viewer", (browser) => browser.query("workspaces.members")],
    ["list keys", "viewer", (browser) => browser.query("keys.list", {})],
    ["read the audit log", "viewer", (browser) => browser.query("audit.list", {})],
    ["rename the workspace", "admin", (browser) => browser.mutate("workspaces.rename", { name: "New" })],
    ["export the recovery kit", "owner", (browser) => browser.mutate("keys.recoveryKit", {})],
    ["change the key", "owner", (browser) => browser.mutate("keys.change", {})],
  ])("may %s from %s on, and not below", async (_what, least, call) => {
    for (const role of ROLES) {
      const allowed = ROLES.indexOf(role) >= ROLES.indexOf(least);
      expect({ role, code: (await call(team[role])).code }).toEqual({ role, code: allowed ? null : "FORBIDDEN" });
    }
    // One of another workspace, signed in as well as they are.
    const stranger = await hub.signUp(`stranger${round}`);
    expect((await call(stranger)).code).toBe(null);
    stranger.workspace = team.owner.workspace;
    expect((await call(stranger)).code).toBe("NOT_FOUND");
    expect((await call(new Browser(hub.url))).code).toBe("UNAUTHENTICATED");
  });

  test("a change of role counts from the next call on", async () => {
    const rename = () => team.admin.mutate("workspaces.rename", { name: "Again" });
    expect((await rename()).code).toBe(null);
    await team.owner.mutate("workspaces.setRole", { user_id: ids.admin, role: "viewer" });
    expect((await rename()).code).toBe("FORBIDDEN");
    await team.owner.mutate("workspaces.removeMember", { user_id: ids.admin });
    expect((await rename()).code).toBe("NOT_FOUND");
  });
});

describe("every procedure", () => {
  const ANYBODY = /^(auth\.(signUp|signIn|refresh|signOut|tokenSignIn)|system\.info)$/;
  /** These ask for a person, not for a workspace. */
  const PERSONAL = /^(auth\.(confirm|me)|workspaces\.list|schedules\.preview|admin\..*)$/;
  const all = Object.entries(appRouter._def.procedures as unknown as Record<string, { _def: { type: string } }>)
    .map(([path, { _def }]) => ({ path, type: _def.type }))
    .filter(({ path, type }) => type !== "subscription" && !ANYBODY.test(path));

  test("asks who calls, and whether the workspace is theirs", async () => {
    expect(all.length).toBeGreaterThan(40);
    const call = (browser: Browser, { path, type }: { path: string; type: string }) =>
      type === "query" ? browser.query(path) : browser.mutate(path);
    const stranger = await hub.signUp(`outside${round}`);
    const own = stranger.copy();
    stranger.workspace = team.owner.workspace;
    for (const procedure of all) {
      const anonymous = (await call(new Browser(hub.url), procedure)).code;
      expect({ ...procedure, anonymous }).toEqual({ ...procedure, anonymous: "UNAUTHENTICATED" });
      if (PERSONAL.test(procedure.path)) continue;
      const foreign = (await call(stranger, procedure)).code;
      expect({ ...procedure, foreign }).toEqual({ ...procedure, foreign: "NOT_FOUND" });
      // The same person gets past the guard at home: done, or told what the input lacks.
      const home = (await call(own, procedure)).code;
      expect(["UNAUTHENTICATED", "NOT_FOUND", "FORBIDDEN"]).not.toContain(home);
    }
  });
});

describe("owners", () => {
  test("are made, changed and removed by owners alone", async () => {
    const { owner, admin } = team;
    expect((await admin.mutate("workspaces.setRole", { user_id: ids.owner, role: "viewer" })).code).toBe("FORBIDDEN");
    expect((await admin.mutate("workspaces.removeMember", { user_id: ids.owner })).code).toBe("FORBIDDEN");
    expect((await admin.mutate("workspaces.setRole", { user_id: ids.admin, role: "owner" })).code).toBe("FORBIDDEN");
    await hub.signUp(`late${round}`);
    const late = { email: `late${round}@example.org`, role: "owner" };
    expect((await admin.mutate("workspaces.addMember", late)).code).toBe("FORBIDDEN");
    expect((await owner.mutate("workspaces.addMember", late)).code).toBe(null);
  });

  test("never all leave", async () => {
    const { owner, admin } = team;
    expect((await owner.mutate("workspaces.setRole", { user_id: ids.owner, role: "admin" })).code).toBe("CONFLICT");
    expect((await owner.mutate("workspaces.removeMember", { user_id: ids.owner })).code).toBe("CONFLICT");
    expect((await owner.mutate("workspaces.setRole", { user_id: ids.admin, role: "owner" })).code).toBe(null);
    // Both step down at once, made sure by holding both up until each waits: one of them stays.
    const tenantId = owner.workspace ?? "";
    const superuser = openDatabase({ appUrl: hub.ownerUrl, systemUrl: hub.ownerUrl }, { max: 2 });
    const waiting = () =>
      superuser.withSystem(async (tx) => {
        const ofHub = sql`datname = current_database() and wait_event_type = 'Lock'`;
        return (await tx.execute(sql`select pid from pg_stat_activity where ${ofHub}`)).length;
      });
    const stepDown = () => [
      owner.mutate("workspaces.setRole", { user_id: ids.owner, role: "viewer" }),
      admin.mutate("workspaces.setRole", { user_id: ids.admin, role: "viewer" }),
    ];
    const begun = await superuser.withSystem(async (tx) => {
      await tx.select().from(memberships).where(eq(memberships.tenantId, tenantId)).for("update");
      const steps = stepDown();
      await expect.poll(waiting, { timeout: 30_000 }).toBe(2);
      return { steps };
    });
    const answers = await Promise.all(begun.steps);
    await superuser.close();
    const members: { role: string }[] = (await owner.query("workspaces.members")).data;
    expect(members.filter(({ role }) => role === "owner")).toHaveLength(1);
    expect(answers.filter(({ code }) => code === null)).toHaveLength(1);
  });

  test("nobody is a member twice, and only people with an account are", async () => {
    const again = await team.owner.mutate("workspaces.addMember", {
      email: `viewer${round}@example.org`,
      role: "admin",
    });
    expect(again.code).toBe("CONFLICT");
    const nobody = await team.owner.mutate("workspaces.addMember", { email: "nobody@example.org", role: "admin" });
    expect(nobody.code).toBe("NOT_FOUND");
  });
});

describe("API tokens", () => {
  const make = (browser: Browser, scopes: string[]) => browser.mutate("tokens.create", { name: "ci", scopes });
  const bearer = (token: string) => {
    const program = new Browser(hub.url);
    program.token = token;
    return program;
  };

  test("never may more than the role of their person", async () => {
    const tried = async (role: Role, scope: string) => (await make(team[role], [scope])).code;
    expect(await tried("viewer", "snapshots:read")).toBe(null);
    expect(await tried("viewer", "backups:run")).toBe("SCOPE_MISSING");
    expect(await tried("operator", "backups:run")).toBe(null);
    expect(await tried("operator", "restores:run")).toBe("SCOPE_MISSING");
    expect(await tried("operator", "keys:export")).toBe("SCOPE_MISSING");
    expect(await tried("admin", "restores:run")).toBe(null);
    expect(await tried("admin", "keys:export")).toBe("SCOPE_MISSING");
    expect(await tried("owner", "keys:export")).toBe(null);
  });

  test("open what their scopes name, in their workspace, and nothing else", async () => {
    const made: { token: string; api_token: { prefix: string } } = (await make(team.viewer, ["audit:read"])).data;
    expect(made.token).toMatch(/^xv_/);
    expect(made.token.startsWith(made.api_token.prefix)).toBe(true);
    const program = bearer(made.token);
    expect((await program.rest("GET", "/audit")).status).toBe(200);
    expect((await program.rest("GET", "/keys")).code).toBe("SCOPE_MISSING");
    expect((await program.rest("GET", "/me")).data).toMatchObject({ scopes: ["audit:read"] });
    // What only people may do.
    expect((await program.query("workspaces.members")).code).toBe("SCOPE_MISSING");
    expect((await program.mutate("tokens.create", { name: "more", scopes: ["audit:read"] })).code).toBe(
      "SCOPE_MISSING",
    );
    program.workspace = (await hub.signUp(`apart${round}`)).workspace;
    expect((await program.rest("GET", "/audit")).code).toBe("NOT_FOUND");
    expect((await bearer(`${made.token}x`).rest("GET", "/audit")).code).toBe("TOKEN_INVALID");
    const listed = await team.viewer.query("tokens.list");
    expect(listed.text).not.toContain(made.token);
    expect(listed.text).toContain(made.api_token.prefix);
  });

  test("make nobody an admin or owner: whoever holds one would be more than the token allows", async () => {
    const made: { token: string } = (await make(team.owner, ["members:write"])).data;
    const program = bearer(made.token);
    program.workspace = team.owner.workspace;
    const added = (role: Role) =>
      program.mutate("workspaces.addMember", { email: `new-${role}${round}@example.org`, role });
    for (const role of ["owner", "admin", "operator"] as const) await hub.signUp(`new-${role}${round}`);
    expect((await added("owner")).code).toBe("FORBIDDEN");
    expect((await added("admin")).code).toBe("FORBIDDEN");
    expect((await added("operator")).code).toBe(null);
    const raised = { user_id: ids.viewer, role: "admin" };
    expect((await program.mutate("workspaces.setRole", raised)).code).toBe("FORBIDDEN");
    expect((await team.owner.mutate("workspaces.setRole", raised)).code).toBe(null);
  });

  test("end when they are revoked, when they expire, and with the membership", async () => {
    const tokens: { token: string; api_token: { id: string } }[] = [];
    for (const role of ["viewer", "operator", "admin"] as const)
      tokens.push((await make(team[role], ["audit:read"])).data);
    const [first, second, third] = tokens.map(({ token }) => bearer(token));
    const asked = async (program: Browser | undefined) => (await program?.rest("GET", "/audit"))?.code;
    for (const program of [first, second, third]) expect(await asked(program)).toBe(null);

    // Another's token is no viewer's to revoke, but an admin's.
    const revoke = { id: tokens[1]?.api_token.id };
    expect((await team.viewer.mutate("tokens.revoke", revoke)).code).toBe("NOT_FOUND");
    expect((await team.admin.mutate("tokens.revoke", revoke)).code).toBe(null);
    expect(await asked(second)).toBe("TOKEN_INVALID");

    await team.owner.mutate("workspaces.removeMember", { user_id: ids.viewer });
    expect(await asked(first)).toBe("TOKEN_INVALID");

    hub.clock.advance(91 * 24 * 60 * 60_000);
    expect(await asked(third)).toBe("TOKEN_EXPIRED");
  });

  test("shrink with the role of their person", async () => {
    const made: { token: string } = (await make(team.owner, ["keys:export"])).data;
    const program = bearer(made.token);
    expect((await program.rest("POST", "/keys/recovery-kit", {})).status).toBe(200);
    await team.owner.mutate("workspaces.setRole", { user_id: ids.admin, role: "owner" });
    await team.admin.mutate("workspaces.setRole", { user_id: ids.owner, role: "admin" });
    expect((await program.rest("POST", "/keys/recovery-kit", {})).code).toBe("FORBIDDEN");
  });

  test("can be had for e-mail and password, with what the role may", async () => {
    const { password } = hub.credentials("any");
    const own = { email: `operator${round}@example.org`, password };
    const answer = await new Browser(hub.url).rest("POST", "/auth/token", {
      ...own,
      workspace_id: team.owner.workspace,
    });
    expect(answer.status).toBe(200);
    const made: { token: string; workspace: { role: string }; api_token: { scopes: string[] } } = answer.data;
    expect(made.workspace.role).toBe("operator");
    expect(made.api_token.scopes).toContain("backups:run");
    expect(made.api_token.scopes).not.toContain("restores:run");
    expect((await bearer(made.token).rest("GET", "/audit")).status).toBe(200);
    const elsewhere = { ...own, workspace_id: (await hub.signUp(`far${round}`)).workspace };
    expect((await new Browser(hub.url).rest("POST", "/auth/token", elsewhere)).code).toBe("NOT_FOUND");
    const greedy = { ...own, workspace_id: team.owner.workspace, scopes: ["restores:run"] };
    expect((await new Browser(hub.url).rest("POST", "/auth/token", greedy)).code).toBe("SCOPE_MISSING");
    expect((await new Browser(hub.url).rest("POST", "/auth/token", { ...own, password: "no" })).code).toBe(
      "CREDENTIALS_INVALID",
    );
  });
});

describe("the audit log", () => {
  test("tells what was done, newest first, in pages, and its chain holds", async () => {
    await team.admin.mutate("workspaces.rename", { name: "Told" });
    type Page = { items: { seq: number; action: string; actor_label: string; data: object }[]; next_cursor: string };
    const first: Page = (await team.viewer.query("audit.list", { limit: 2 })).data;
    expect(first.items[0]).toMatchObject({ action: "workspace.renamed", actor_label: `admin${round}@example.org` });
    expect(first.items).toHaveLength(2);
    const second: Page = (await team.viewer.query("audit.list", { limit: 2, cursor: first.next_cursor })).data;
    expect(second.items[0]?.seq).toBe((first.items[1]?.seq ?? 0) - 1);
    expect((await team.viewer.query("audit.list", { cursor: "x" })).code).toBe("INPUT_INVALID");
    expect((await team.viewer.query("audit.verify", {})).data).toMatchObject({ ok: true, problem: null });
    const actions = await hub.auditActions(`owner${round}`);
    expect(actions).toEqual(expect.arrayContaining(["workspace.created", "user.signed_up", "member.added"]));
  });

  test("has an entry for whatever was done: where none can be written, nothing is done (promise 40)", async () => {
    const changes: [string, unknown][] = [
      ["workspaces.rename", { name: "Unseen" }],
      ["workspaces.setRole", { user_id: ids.viewer, role: "operator" }],
      ["workspaces.removeMember", { user_id: ids.viewer }],
      ["tokens.create", { name: "unseen", scopes: ["audit:read"] }],
      ["keys.change", {}],
      ["keys.recoveryKit", {}],
    ];
    const look = async () => {
      const paths: [string, unknown][] = [
        ["auth.me", {}],
        ["workspaces.members", undefined],
        ["tokens.list", undefined],
      ];
      const seen = await Promise.all(
        [...paths, ["keys.list", {}] as const].map(([path, input]) => team.owner.query(path, input)),
      );
      return seen.map(({ text }) => text);
    };
    const before = await look();
    const owner = openDatabase({ appUrl: hub.ownerUrl, systemUrl: hub.ownerUrl }, { max: 1 });
    try {
      await owner.withSystem((tx) => tx.execute(sql`revoke insert on audit_log from xvault_app, xvault_system`));
      for (const [path, input] of changes) {
        expect({ path, code: (await team.owner.mutate(path, input)).code }).toEqual({ path, code: "INTERNAL" });
      }
      expect((await hub.trySignUp(`unseen${round}`)).code).toBe("INTERNAL");
      expect(await look()).toEqual(before);
    } finally {
      await owner.withSystem((tx) => tx.execute(sql`grant insert on audit_log to xvault_app, xvault_system`));
      await owner.close();
    }
    for (const [path, input] of changes) {
      expect({ path, code: (await team.owner.mutate(path, input)).code }).toEqual({ path, code: null });
    }
    expect((await hub.trySignUp(`unseen${round}`)).code).toBe(null);
  });
});
