import { signToken } from "@xvault/crypto";
import { eq, refreshTokens, sessions, users } from "@xvault/db";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Browser } from "./test/browser.ts";
import { PASSWORD, startTestHub, type TestHub } from "./test/hub.ts";

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** True when the browser's access token still opens something. */
const works = async (browser: Browser) => (await browser.query("workspaces.list")).code ?? "works";

describe("signing up and in", () => {
  test("sign-up makes a workspace and signs in; the password signs in again; the refresh cookie is for us alone", async () => {
    const ann = await hub.signUp("ann");
    const me: { user: { email: string }; workspace: { role: string; key_mode: string } } = (
      await ann.query("auth.me", {})
    ).data;
    expect(me.user.email).toBe("ann@example.org");
    expect(me.workspace).toMatchObject({ role: "owner", key_mode: "platform" });

    const again = await fetch(`${hub.url}/trpc/auth.signIn`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email: " Ann@Example.org ", password: PASSWORD }),
    });
    expect(again.status).toBe(200);
    const [cookie = ""] = again.headers.getSetCookie();
    expect(cookie).toMatch(/^xvault_refresh=xr_/);
    for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/trpc"]) expect(cookie).toContain(attribute);
    expect(await again.text()).not.toContain("xr_");
  });

  test("an address has one account, a password must be strong, and sign-up can be shut", async () => {
    await hub.signUp("bea");
    expect((await hub.trySignUp("bea")).code).toBe("EMAIL_TAKEN");
    expect((await hub.trySignUp("bob", { password: "password123" })).code).toBe("PASSWORD_WEAK");
    expect((await hub.trySignUp("bob")).code).toBe(null);
    const shut = await hub.another({ allowSignup: false });
    try {
      expect((await shut.trySignUp("eve")).code).toBe("FORBIDDEN");
      expect((await new Browser(shut.url).enter("auth.signIn", hub.credentials("bob"))).code).toBe(null);
    } finally {
      await shut.close();
    }
  });

  test("a failed sign-up leaves nothing behind", async () => {
    const refused = await hub.trySignUp("cleo", { key_mode: "customer" });
    expect(refused.code).toBe("INPUT_INVALID");
    const found = await hub.db.withSystem((tx) => tx.select().from(users).where(eq(users.email, "cleo@example.org")));
    expect(found).toEqual([]);
    expect((await hub.trySignUp("cleo")).code).toBe(null);
  });

  test("a wrong password and an unknown address are told alike, and guessing ends", async () => {
    await hub.signUp("dan");
    await hub.signUp("dora");
    const visitor = new Browser(hub.url);
    const wrong = await visitor.enter("auth.signIn", { email: "dan@example.org", password: "wrong" });
    const unknown = await visitor.enter("auth.signIn", { email: "nobody@example.org", password: "wrong" });
    expect(wrong.code).toBe("CREDENTIALS_INVALID");
    expect(withoutId(unknown.text)).toBe(withoutId(wrong.text));
    for (let guess = 0; guess < 9; guess += 1) {
      const again = await visitor.enter("auth.signIn", { email: "dan@example.org", password: "wrong" });
      expect(again.code).toBe("CREDENTIALS_INVALID");
    }
    // Even the right one now, but only for this account.
    expect((await visitor.enter("auth.signIn", hub.credentials("dan"))).code).toBe("RATE_LIMITED");
    expect((await visitor.enter("auth.signIn", hub.credentials("dora"))).code).toBe(null);
    await expect.poll(() => hub.auditActions("dan")).toContain("session.sign_in_failed");
  });
});

describe("refreshing (promise 38)", () => {
  test("each refresh gives a new token, and the next one works with it", async () => {
    const ann = await hub.signUp("r-ann");
    const seen = new Set([ann.cookie]);
    for (let turn = 0; turn < 3; turn += 1) {
      hub.clock.advance(MINUTE);
      expect((await ann.enter("auth.refresh")).code).toBe(null);
      seen.add(ann.cookie);
      expect(await works(ann)).toBe("works");
    }
    expect(seen.size).toBe(4);
  });

  test("a spent token shown again ends the whole family, the good token and the access token included", async () => {
    const ann = await hub.signUp("r-bea");
    const thief = ann.copy();
    expect((await ann.enter("auth.refresh")).code).toBe(null);
    hub.clock.advance(11 * SECOND);
    expect(await works(ann)).toBe("works");
    expect((await thief.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
    expect(thief.cookie).toBeUndefined();
    expect(await works(ann)).toBe("SESSION_REVOKED");
    expect((await ann.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
    expect(await hub.auditActions("r-bea")).toContain("session.reuse_detected");
  });

  test("the other sessions of the person live on", async () => {
    const ann = await hub.signUp("r-cleo");
    const elsewhere = new Browser(hub.url);
    await elsewhere.enter("auth.signIn", hub.credentials("r-cleo"));
    const thief = ann.copy();
    await ann.enter("auth.refresh");
    hub.clock.advance(11 * SECOND);
    await thief.enter("auth.refresh");
    expect(await works(ann)).toBe("SESSION_REVOKED");
    expect(await works(elsewhere)).toBe("works");
  });

  test("two tabs that refresh at once both go on", async () => {
    const tab = await hub.signUp("r-dan");
    const other = tab.copy();
    const answers = await Promise.all([tab.enter("auth.refresh"), other.enter("auth.refresh")]);
    expect(answers.map(({ code }) => code)).toEqual([null, null]);
    expect(tab.cookie).not.toBe(other.cookie);
    // Browsers share the cookie: whichever came last is the one that is used from here on.
    tab.cookie = other.cookie;
    hub.clock.advance(4 * MINUTE);
    expect((await tab.enter("auth.refresh")).code).toBe(null);
    hub.clock.advance(4 * MINUTE);
    expect((await tab.enter("auth.refresh")).code).toBe(null);
  });

  test("a thief who wins a sibling in the race is noticed: the family never goes on in two lines", async () => {
    const ann = await hub.signUp("r-eve");
    const thief = ann.copy();
    expect((await ann.enter("auth.refresh")).code).toBe(null);
    expect((await thief.enter("auth.refresh")).code).toBe(null);
    hub.clock.advance(MINUTE);
    expect((await thief.enter("auth.refresh")).code).toBe(null);
    hub.clock.advance(MINUTE);
    expect((await ann.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
    expect((await thief.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
  });

  test("grace is for the token before the present one alone, however lately the older was spent", async () => {
    const ann = await hub.signUp("r-fay");
    const oldest = ann.copy();
    await ann.enter("auth.refresh");
    hub.clock.advance(SECOND);
    const previous = ann.copy();
    previous.cookie = ann.cookie;
    await ann.enter("auth.refresh");
    hub.clock.advance(SECOND);
    expect((await previous.enter("auth.refresh")).code).toBe(null);
    expect((await oldest.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
    expect(await works(ann)).toBe("SESSION_REVOKED");
  });

  test("a token that lay for a week, and one that never was, are refused", async () => {
    const ann = await hub.signUp("r-gus");
    const stranger = new Browser(hub.url);
    expect((await stranger.enter("auth.refresh")).code).toBe("UNAUTHENTICATED");
    stranger.cookie = "xvault_refresh=xr_nonsense";
    expect((await stranger.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
    hub.clock.advance(8 * 24 * 60 * MINUTE);
    expect((await ann.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
  });

  test("tokens are kept as hashes", async () => {
    const ann = await hub.signUp("r-hal");
    const token = ann.cookie?.split("=")[1] ?? "";
    const rows = await hub.db.withSystem((tx) => tx.select().from(refreshTokens));
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(token);
  });
});

describe("what ends a session ends it at once (promise 39)", () => {
  test("signing out", async () => {
    const ann = await hub.signUp("x-ann");
    const copy = ann.copy();
    expect(await works(copy)).toBe("works");
    expect((await ann.mutate("auth.signOut")).code).toBe(null);
    expect(ann.cookie).toBeUndefined();
    expect(await works(copy)).toBe("SESSION_REVOKED");
    expect((await copy.enter("auth.refresh")).code).toBe("SESSION_REVOKED");
  });

  test("disabling the person", async () => {
    const ann = await hub.signUp("x-bea");
    expect(await works(ann)).toBe("works");
    const disabledAt = hub.clock.now();
    await hub.db.withSystem((tx) => tx.update(users).set({ disabledAt }).where(eq(users.email, "x-bea@example.org")));
    expect(await works(ann)).toBe("SESSION_REVOKED");
    expect((await ann.enter("auth.signIn", hub.credentials("x-bea"))).code).toBe("CREDENTIALS_INVALID");
  });

  test("an open stream too", async () => {
    const ann = await hub.signUp("x-cleo");
    const stream = await hub.openStream(ann);
    expect(stream.status).toBe(200);
    expect(await stream.firstEvents()).toContain("connected");
    await ann.mutate("auth.signOut");
    await stream.ended;
  });

  test("a browser's stream is let in by its cookie, a stranger's is not", async () => {
    const ann = await hub.signUp("x-dan");
    const byCookie = ann.copy();
    byCookie.token = undefined;
    const stream = await hub.openStream(byCookie);
    expect(stream.status).toBe(200);
    stream.close();
    const stranger = new Browser(hub.url);
    stranger.workspace = ann.workspace;
    const refused = await hub.openStream(stranger);
    expect(refused.status).toBe(401);
    expect(await refused.firstEvents()).toContain("UNAUTHENTICATED");
    await refused.ended;
  });

  test("a stream with an old access token is refused with a status, so that the page can renew the token", async () => {
    const ann = await hub.signUp("x-eve");
    hub.clock.advance(6 * MINUTE);
    const refused = await hub.openStream(ann);
    expect(refused.status).toBe(401);
    expect(await refused.firstEvents()).toContain("TOKEN_EXPIRED");
    await ann.enter("auth.refresh");
    const stream = await hub.openStream(ann);
    expect(stream.status).toBe(200);
    stream.close();
  });
});

describe("access tokens", () => {
  test("are good for five minutes", async () => {
    const ann = await hub.signUp("t-ann");
    hub.clock.advance(4 * MINUTE);
    expect(await works(ann)).toBe("works");
    hub.clock.advance(2 * MINUTE);
    expect(await works(ann)).toBe("TOKEN_EXPIRED");
  });

  test("of another use, another key, another algorithm or without a session are refused", async () => {
    const ann = await hub.signUp("t-bea");
    const { jwt, root } = hub.platformKeys;
    const [session] = await hub.db.withSystem((tx) => tx.select().from(sessions));
    const good = {
      claims: { sid: session?.id, auth_time: 1 },
      audience: "xvault-user",
      issuer: "xvault-hub",
      subject: session?.userId ?? "",
      expiresInSeconds: 60,
      keyId: jwt.id,
      privateKey: jwt.privateKey,
      clock: hub.clock,
    };
    const tried = async (change: Partial<typeof good>) => {
      ann.token = await signToken({ ...good, ...change });
      return works(ann);
    };
    expect(await tried({})).not.toMatch(/TOKEN/);
    expect(await tried({ audience: "xvault-data" })).toBe("TOKEN_AUDIENCE");
    expect(await tried({ keyId: "other" })).toBe("TOKEN_KEY_UNKNOWN");
    expect(await tried({ privateKey: root.privateKey })).toBe("TOKEN_INVALID");
    expect(await tried({ claims: { sid: "0", auth_time: 1 } })).toBe("TOKEN_INVALID");
    const none = Buffer.from(JSON.stringify({ alg: "none", kid: jwt.id })).toString("base64url");
    ann.token = `${none}.${ann.token?.split(".")[1]}.`;
    expect(await works(ann)).toBe("TOKEN_ALG");
  });
});

describe("confirming with the password", () => {
  test("what asks for it is refused after a quarter of an hour, until it is given again", async () => {
    // How old a confirmation is, the procedures measure by the real time.
    hub.clock.set(new Date(Date.now() - 16 * MINUTE));
    const ann = await hub.signUp("c-ann");
    const kit = () => ann.mutate("keys.recoveryKit", {});
    hub.clock.set(new Date());
    await ann.enter("auth.refresh");
    expect((await kit()).code).toBe("REAUTH_REQUIRED");
    // Who could make a member could make one of their own, whose password they have.
    const ben = { email: "nobody@example.org", role: "owner" };
    expect((await ann.mutate("workspaces.addMember", ben)).code).toBe("REAUTH_REQUIRED");
    expect((await ann.enter("auth.confirm", { password: "wrong" })).code).toBe("CREDENTIALS_INVALID");
    expect((await kit()).code).toBe("REAUTH_REQUIRED");
    const otherTab = ann.copy();
    expect((await ann.enter("auth.confirm", { password: PASSWORD })).code).toBe(null);
    expect((await kit()).code).toBe(null);
    // A refresh keeps it, and another tab's token runs out by itself.
    await ann.enter("auth.refresh");
    expect((await kit()).code).toBe(null);
    expect(await works(otherTab)).toBe("works");
  });
});

function withoutId(text: string): string {
  return text.replace(/"requestId":"[^"]*"/, "");
}
