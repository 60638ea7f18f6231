import { createKeyring, generateIdentity, kekId, parseRecoveryKit, recipientOf } from "@xvault/crypto";
import { eq, type Database, tenantDataKeys, tenantKeys, users } from "@xvault/db";
import { isXVaultError, randomBytes, type TenantId } from "@xvault/kernel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensurePlatformAdmin, loadPlatformKeys } from "./index.ts";
import { Browser } from "./test/browser.ts";
import { startTestHub, type TestHub } from "./test/hub.ts";

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

interface Keys {
  key_mode: string;
  keys: { recipient: string; state: string; holder: string }[];
  root_keys: string[];
}

const tenantOf = (browser: Browser) => browser.workspace as TenantId;
/** Waits for an error of ours and gives its code. */
const codeOf = async (work: Promise<unknown>) => {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error === null) return null;
  if (!isXVaultError(error)) throw error;
  return error.code;
};

const kitOf = async (browser: Browser) => {
  const answer = await browser.mutate("keys.recoveryKit", {});
  if (answer.code !== null) throw new Error(answer.text);
  const kit: { filename: string; content: string } = answer.data;
  return { ...kit, ...parseRecoveryKit(kit.content) };
};

describe("platform-held keys", () => {
  test("a workspace gets a key pair, whose identity lies sealed, and the kit holds it with the hub's root key", async () => {
    const ann = await hub.signUp("k-ann");
    const listed: Keys = (await ann.query("keys.list", {})).data;
    expect(listed).toMatchObject({ key_mode: "platform", keys: [{ state: "active", holder: "platform" }] });
    const kit = await kitOf(ann);
    expect(kit.filename).toMatch(/^xvault-recovery-k-ann-s-workspace-\d{4}-\d\d-\d\d\.txt$/);
    expect(kit.rootKeys).toEqual([hub.platformKeys.root.publicKey]);
    expect(await Promise.all(kit.identities.map(recipientOf))).toEqual(listed.keys.map(({ recipient }) => recipient));
    const rows = await hub.db.withSystem((tx) => tx.select().from(tenantKeys));
    expect(JSON.stringify(rows)).not.toContain("AGE-SECRET-KEY");
    expect(await hub.auditActions("k-ann")).toContain("key.exported");
  });

  test("a change of key makes a new pair and keeps the old one readable", async () => {
    const ann = await hub.signUp("k-bea");
    const before: Keys = (await ann.query("keys.list", {})).data;
    expect((await ann.mutate("keys.change", { recipients: [before.keys[0]?.recipient] })).code).toBe("INPUT_INVALID");
    const after: Keys = (await ann.mutate("keys.change", {})).data;
    expect(after.keys.map(({ state }) => state)).toEqual(["active", "retired"]);
    expect(after.keys[1]?.recipient).toBe(before.keys[0]?.recipient);
    const { identities } = await kitOf(ann);
    expect(await Promise.all(identities.map(recipientOf))).toEqual(after.keys.map(({ recipient }) => recipient));
    expect(await hub.auditActions("k-bea")).toContain("key.changed");
  });
});

describe("customer-held keys", () => {
  test("only the recipient is known, and nobody can export what was never here", async () => {
    const mine = await generateIdentity();
    const ann = await hub.signUp("k-cleo", { key_mode: "customer", recipient: mine.recipient });
    const listed: Keys = (await ann.query("keys.list", {})).data;
    expect(listed.keys).toMatchObject([{ recipient: mine.recipient, holder: "customer", state: "active" }]);
    expect((await ann.mutate("keys.recoveryKit", {})).code).toBe("KEY_CUSTOMER_HELD");
    const ids = await hub.db.withTenant(tenantOf(ann), (tx) => hub.vault.identities(tx, tenantOf(ann)));
    expect(ids).toEqual([]);
  });

  test("a private identity is refused and not kept", async () => {
    const { identity } = await generateIdentity();
    const refused = await hub.trySignUp("k-dan", { key_mode: "customer", recipient: identity });
    expect(refused.code).toBe("RECIPIENT_IS_PRIVATE");
    expect(refused.text).not.toContain(identity);
    expect((await hub.trySignUp("k-dan", { key_mode: "customer", recipient: "age1nonsense" })).code).toBe(
      "RECIPIENT_INVALID",
    );
  });

  test("the recipients named replace those in use", async () => {
    const [first, second, third] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
    const ann = await hub.signUp("k-eve", { key_mode: "customer", recipient: first.recipient });
    expect((await ann.mutate("keys.change", {})).code).toBe("INPUT_INVALID");
    const bad = await ann.mutate("keys.change", { recipients: [second.recipient, third.identity] });
    expect(bad.code).toBe("RECIPIENT_IS_PRIVATE");
    const recipients = [second.recipient, first.recipient, second.recipient];
    const after: Keys = (await ann.mutate("keys.change", { recipients })).data;
    const active = after.keys.filter(({ state }) => state === "active").map(({ recipient }) => recipient);
    expect(active.sort()).toEqual([first.recipient, second.recipient].sort());
    expect(after.keys.filter(({ state }) => state === "retired")).toHaveLength(1);
  });
});

describe("the vault", () => {
  const place = { table: "credentials", row: "r1", column: "sealed" };

  test("opens a secret where it lies, and nowhere else (promise 4)", async () => {
    const [ann, bea] = [await hub.signUp("v-ann"), await hub.signUp("v-bea")];
    const secret = Buffer.from("hunter2");
    const { sealed, keyVersion } = await hub.db.withTenant(tenantOf(ann), (tx) =>
      hub.vault.seal(tx, tenantOf(ann), place, secret),
    );
    const opened = (browser: Browser, where = place) =>
      hub.db.withTenant(tenantOf(browser), (tx) => hub.vault.open(tx, tenantOf(browser), where, sealed, keyVersion));
    expect(await opened(ann)).toEqual(secret);
    expect(await codeOf(opened(ann, { ...place, row: "r2" }))).toBe("SECRET_UNREADABLE");
    expect(await codeOf(opened(ann, { ...place, column: "other" }))).toBe("SECRET_UNREADABLE");
    expect(await codeOf(opened(bea))).toBe("SECRET_UNREADABLE");
  });

  test("an identity that was moved to another workspace's row does not open there", async () => {
    const [ann, bea] = [await hub.signUp("v-cleo"), await hub.signUp("v-dan")];
    const identitiesOf = (browser: Browser) =>
      hub.db.withTenant(tenantOf(browser), (tx) => hub.vault.identities(tx, tenantOf(browser)));
    expect(await identitiesOf(bea)).toHaveLength(1);
    const [stolen] = await hub.db.withSystem((tx) =>
      tx
        .select()
        .from(tenantKeys)
        .where(eq(tenantKeys.tenantId, tenantOf(ann))),
    );
    const sealedIdentity = stolen?.sealedIdentity ?? "";
    await hub.db.withTenant(tenantOf(bea), (tx) =>
      tx
        .update(tenantKeys)
        .set({ sealedIdentity })
        .where(eq(tenantKeys.tenantId, tenantOf(bea))),
    );
    expect(await codeOf(identitiesOf(bea))).toBe("SECRET_UNREADABLE");
    expect(await identitiesOf(ann)).toHaveLength(1);
  });

  test("a workspace without its data key is shredded", async () => {
    const ann = await hub.signUp("v-eve");
    await hub.db.withSystem((tx) => tx.delete(tenantDataKeys).where(eq(tenantDataKeys.tenantId, tenantOf(ann))));
    expect((await ann.mutate("keys.recoveryKit", {})).code).toBe("TENANT_SHREDDED");
  });
});

describe("the hub's own keys", () => {
  const ring = (key: Buffer) => createKeyring({ current: { id: kekId(key), key } });

  test("are made once, however many hubs start, and sign for all of them", async () => {
    const keyring = ring(hub.kek);
    const loaded = await Promise.all([1, 2, 3].map(() => loadPlatformKeys({ db: hub.db, keyring })));
    for (const keys of loaded) expect(keys).toEqual(hub.platformKeys);
    const second = await hub.another();
    try {
      const ann = await hub.signUp("p-ann");
      const there = new Browser(second.url);
      there.token = ann.token;
      expect((await there.query("workspaces.list")).code).toBe(null);
    } finally {
      await second.close();
    }
  });

  test("a hub with another key encryption key does not start, and names the key that it needs (promise 6)", async () => {
    const other = ring(Buffer.from(randomBytes(32)));
    const failed = await loadPlatformKeys({ db: hub.db, keyring: other }).catch((error: unknown) => error);
    expect(isXVaultError(failed, "KEK_UNKNOWN")).toBe(true);
    expect(String(failed)).toContain(kekId(hub.kek));
  });

  test("keys of one name but other bytes do not open it either", async () => {
    const liar = createKeyring({ current: { id: kekId(hub.kek), key: Buffer.from(randomBytes(32)) } });
    expect(await codeOf(loadPlatformKeys({ db: hub.db, keyring: liar }))).toBe("SECRET_UNREADABLE");
  });
});

describe("the first platform admin", () => {
  const adminsOf = (db: Database) =>
    db.withSystem((tx) => tx.select().from(users).where(eq(users.isPlatformAdmin, true)));

  test("is made once, with a password told once, and signs in without any workspace", async () => {
    const deps = { db: hub.db, clock: hub.clock };
    const made = await Promise.all([ensurePlatformAdmin({}, deps), ensurePlatformAdmin({}, deps)]);
    const [admin, ...others] = made.filter((result) => result !== null);
    expect(others).toEqual([]);
    expect(admin?.created).toBe(true);
    expect(await adminsOf(hub.db)).toHaveLength(1);
    expect(await ensurePlatformAdmin({ email: "other@example.org", password: "weak" }, deps)).toBe(null);

    const browser = new Browser(hub.url);
    const answer = await browser.enter("auth.signIn", { email: admin?.email, password: admin?.password });
    expect(answer.code).toBe(null);
    expect(answer.data).toMatchObject({ user: { is_platform_admin: true }, workspaces: [] });
    expect((await browser.query("workspaces.list")).data).toEqual([]);

    // An account that was there before, made by who knows whom, changes hands altogether.
    await hub.db.withSystem((tx) => tx.update(users).set({ isPlatformAdmin: false }));
    const early = await hub.signUp("a-bea");
    const wanted = { email: "a-bea@example.org", password: "another long phrase" };
    expect(await codeOf(ensurePlatformAdmin({ ...wanted, password: "weak" }, deps))).toBe("PASSWORD_WEAK");
    expect(await ensurePlatformAdmin(wanted, deps)).toEqual({ email: wanted.email, password: null, created: false });
    expect((await early.query("workspaces.list")).code).toBe("SESSION_REVOKED");
    expect((await browser.enter("auth.signIn", hub.credentials("a-bea"))).code).toBe("CREDENTIALS_INVALID");
    expect((await browser.enter("auth.signIn", wanted)).code).toBe(null);
    // A workspace's own people are not told that there is such a thing as admin calls.
    expect((await (await hub.signUp("a-ann")).query("admin.tenants")).code).toBe("NOT_FOUND");
  });
});
