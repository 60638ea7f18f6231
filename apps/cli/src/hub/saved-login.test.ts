import { chmodSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { hubUrl, isExposed, openHub } from "./client.ts";
import { forgetLogin, loadLogin, saveLogin } from "./saved-login.ts";

const fresh = () => join(mkdtempSync(join(tmpdir(), "xvault-login-")), "xvault", "config.json");
const LOGIN = { version: 1 as const, url: "https://hub.example", token: "xv_secret", email: "me@example.com" };

describe("the kept sign-in", () => {
  it("is readable by its owner alone, and replaced in one step", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
    await saveLogin(file, { ...LOGIN, token: "xv_other" });
    expect((await loadLogin(file))?.token).toBe("xv_other");
    expect(readdirSync(dirname(file))).toEqual(["config.json"]);
  });

  it("is closed to others when somebody opened it", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    chmodSync(file, 0o644);
    expect(await loadLogin(file)).toEqual(LOGIN);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("is forgotten once", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    expect(await forgetLogin(file)).toBe(true);
    expect(await forgetLogin(file)).toBe(false);
    expect(await loadLogin(file)).toBeNull();
  });

  it("is refused without repeating what is in it when it is damaged", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    writeFileSync(file, readFileSync(file, "utf8").slice(0, -10));
    await expect(loadLogin(file)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(loadLogin(file)).rejects.not.toThrow(/xv_secret/);
  });
});

describe("openHub", () => {
  const worldWith = (configFile: string, environment: { url?: string; token?: string }) =>
    ({ environment: { url: undefined, token: undefined, debug: false, configFile, ...environment } }) as never;

  it("uses what was kept, and lets the environment go before it", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    expect((await openHub(worldWith(file, {}))).url).toBe("https://hub.example");
    expect((await openHub(worldWith(file, { url: "http://localhost:1234/", token: "t" }))).url).toBe(
      "http://localhost:1234",
    );
  });

  it("never sends a kept token to another hub", async () => {
    const file = fresh();
    await saveLogin(file, LOGIN);
    await expect(openHub(worldWith(file, { url: "https://evil.example" }))).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });
});

describe("hubUrl", () => {
  it("has one form", () => {
    expect(hubUrl("https://Hub.Example:443/")).toBe("https://hub.example");
    expect(hubUrl("http://localhost:8420/xvault/")).toBe("http://localhost:8420/xvault");
    for (const bad of ["hub", "ftp://hub", "https://me:pw@hub", ""]) expect(() => hubUrl(bad)).toThrow(/address/);
  });

  it("knows when a token would be readable on the way", () => {
    expect(isExposed("http://192.168.1.4")).toBe(true);
    expect(isExposed("http://127.0.0.1:8420")).toBe(false);
    expect(isExposed("https://hub.example")).toBe(false);
  });
});
