import { describe, expect, it } from "vitest";
import { queueUrl, ROLES, roleUrl } from "./urls.ts";

const OWNER = "postgres://owner:p%40ss@db.example.test:5433/vault?sslmode=require";

describe("URLs of the roles", () => {
  it("lead to the owner's database by a derived password", () => {
    const url = new URL(roleUrl(OWNER, ROLES.app));
    expect([url.username, url.host, url.pathname, url.search]).toEqual([
      "xvault_app",
      "db.example.test:5433",
      "/vault",
      "?sslmode=require",
    ]);
    // HKDF-SHA256 of "p@ss", no salt, info "xvault database role xvault_app", 32 bytes: every hub must come to the same, for ever.
    expect(url.password).toBe("aZRF925D6zzS9x7eR3Wd8uCngIQB8MsbekwMqtHOEdw");
  });

  it("differ from role to role and from owner to owner", () => {
    const passwords = [
      ...Object.values(ROLES).map((role) => new URL(roleUrl(OWNER, role)).password),
      new URL(roleUrl(OWNER.replace("p%40ss", "other"), ROLES.app)).password,
    ];
    expect(new Set(passwords).size).toBe(4);
  });

  it("lead the queue to a database of its own", () => {
    const url = new URL(queueUrl(OWNER));
    expect([url.username, url.pathname]).toEqual(["xvault_queue", "/vault_queue"]);
  });

  it.each(["", "vault", "postgres://owner@host/vault", "postgres://owner:pass@host", "postgres://:pass@host/vault"])(
    "refuses %j",
    (url) => {
      expect(() => roleUrl(url, ROLES.app)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    },
  );
});
