import { spawnSync } from "node:child_process";
import { isXVaultError } from "@xvault/kernel";
import { fuzz } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkRemote, type RcloneRemote, rcloneEndpoints } from "./check-remote.ts";
import { REMOTE_TYPES } from "./remotes.ts";

const webdav: RcloneRemote = {
  remoteType: "webdav",
  parameters: { url: "https://cloud.example.org/dav", vendor: "nextcloud", user: "someone" },
  secretParameters: { pass: "secret" },
  path: "backups/xvault",
};

/** The field that a remote is refused for, or '' when it is taken. */
function refusedFor(remote: Partial<RcloneRemote>): string {
  try {
    checkRemote({ ...webdav, ...remote });
    return "";
  } catch (error) {
    if (isXVaultError(error, "INPUT_INVALID", "PATH_INVALID")) return String(error.data?.["field"]);
    throw error;
  }
}

describe("a tenant's remote", () => {
  test("is taken apart by what rclone wants of each parameter", () => {
    expect(checkRemote(webdav)).toEqual({
      type: "webdav",
      plain: webdav.parameters,
      secret: {},
      obscured: { pass: "secret" },
      path: "backups/xvault",
    });
    const b2 = { remoteType: "b2", parameters: { account: "001a" }, secretParameters: { key: "K001" }, path: "bucket" };
    expect(checkRemote(b2)).toMatchObject({
      plain: { account: "001a", hard_delete: "true" },
      secret: { key: "K001" },
    });
  });

  const others =
    "local alias union combine crypt chunker compress hasher cache memory http sftp hdfs sia s3 gcs netstorage box jottacloud";
  test.each([...others.split(" "), "", "WEBDAV", "constructor", "__proto__"])("is refused as %j", (remoteType) => {
    expect(refusedFor({ remoteType, parameters: {}, secretParameters: {} })).toBe("remoteType");
  });

  test.each([
    ["webdav", "bearer_token_command", "id"],
    ["webdav", "headers", "Cookie,a"],
    ["webdav", "remote", "/"],
    ["webdav", "constructor", "x"],
    ["swift", "env_auth", "true"],
    ["azureblob", "service_principal_file", "/etc/passwd"],
    ["azureblob", "use_msi", "true"],
    ["azureblob", "use_emulator", "true"],
    ["drive", "service_account_file", "/etc/passwd"],
    ["drive", "service_account_credentials", "{}"],
    ["drive", "token_url", "http://127.0.0.1/"],
    ["drive", "use_trash", "true"],
    ["ftp", "no_check_certificate", "true"],
    ["onedrive", "auth_url", "http://127.0.0.1/"],
  ])("of type %s sets no %s", (remoteType, name, value) => {
    expect(refusedFor({ remoteType, parameters: { [name]: value }, secretParameters: {} })).toBe(name);
    expect(refusedFor({ remoteType, parameters: {}, secretParameters: { [name]: value } })).toBe(name);
  });

  test("keeps secrets apart from what is shown", () => {
    expect(refusedFor({ parameters: { ...webdav.parameters, pass: "secret" }, secretParameters: {} })).toBe("pass");
    expect(refusedFor({ secretParameters: { user: "someone" } })).toBe("user");
  });

  test.each([
    ["webdav", "url", "file:///etc/passwd"],
    ["webdav", "url", "cloud.example.org"],
    ["webdav", "url", "https://user:secret@cloud.example.org"],
    ["webdav", "vendor", "another"],
    ["webdav", "user", "two\nlines"],
    ["webdav", "user", ""],
    ["azureblob", "account", "example.org/"],
    ["pcloud", "hostname", "127.0.0.1"],
    ["zoho", "region", "com/../x"],
    ["ftp", "host", "example.org/x"],
    ["ftp", "tls", "maybe"],
    ["smb", "port", "445@example.org"],
  ])("of type %s is refused with the %s %j", (remoteType, name, value) => {
    expect(refusedFor({ remoteType, parameters: { [name]: value }, secretParameters: {} })).toBe(name);
  });

  test("lies at a path below its top", () => {
    for (const path of ["", "bucket", "bucket/a b/ö", "a:b,c=d"]) expect(refusedFor({ path })).toBe("");
    for (const path of ["/", "/a", "a/", "a//b", "..", "a/../b", "a/.", "a\0", "a\nb", "x".repeat(901)])
      expect(refusedFor({ path })).toBe("path");
  });
});

test("the hosts that a remote names are told, to be judged before it is used", () => {
  expect(rcloneEndpoints(webdav)).toEqual(["cloud.example.org"]);
  const of = (remoteType: string, parameters: Record<string, string>, secretParameters: Record<string, string> = {}) =>
    rcloneEndpoints({ remoteType, parameters, secretParameters, path: "" });
  expect(of("ftp", { host: "169.254.169.254" })).toEqual(["169.254.169.254"]);
  expect(of("webdav", { url: "http://[fd00:ec2::254]:8080/" })).toEqual(["fd00:ec2::254"]);
  expect(of("webdav", { url: "http://0x7f.1/" })).toEqual(["127.0.0.1"]);
  expect(of("swift", { auth: "https://a.example/v3", storage_url: "https://b.example/" })).toEqual([
    "a.example",
    "b.example",
  ]);
  expect(of("azureblob", {}, { sas_url: "https://c.example/x?sig=1" })).toEqual(["c.example"]);
  expect(of("drive", {}, { token: "{}" })).toEqual([]);
  expect(() => of("local", {})).toThrow("does not store backups");
});

test("no URL that is taken hides its host", async () => {
  const seen = { taken: 0, refused: 0 };
  const odd = fc.tuple(
    fc.constantFrom("http://", "https://", "HTTP:", "http:/", "ftp://", "//", ""),
    fc.constantFrom("", "a@", "a:b@", "[", "\\", "%00"),
    fc.oneof(
      fc.constantFrom("127.0.0.1", "[::1]", "example.org", "127.1", "exa mple.org"),
      fc.string({ maxLength: 8 }),
    ),
    fc.constantFrom("", "/", "/x", ":80", ":x", "?a", "#@b", "\\@c"),
  );
  await fuzz(odd, (parts) => {
    const url = parts.join("");
    const taken = refusedFor({ parameters: { url } }) === "";
    seen[taken ? "taken" : "refused"] += 1;
    if (!taken) return;
    const [host = ""] = rcloneEndpoints({ ...webdav, parameters: { url } });
    expect(host).not.toBe("");
    expect(new URL(url).hostname.replaceAll(/[[\]]/g, "")).toBe(host);
  });
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
});

const listed = spawnSync("rclone", ["config", "providers", "--config", ""], { maxBuffer: 64 * 1024 * 1024 });
const missing = listed.status === 0 ? "" : "rclone is not installed";
/** rclone takes these of every provider that it logs in to by OAuth, whether or not it lists them. */
const OAUTH = new Set(["client_id", "client_secret", "token"]);

interface Provider {
  Name: string;
  Options: { Name: string; IsPassword: boolean }[] | null;
}

test.skipIf(missing)(
  `what the allow list says of types and parameters is what rclone says${missing && ` (skipped: ${missing})`}`,
  () => {
    const providers = new Map(
      (JSON.parse(listed.stdout.toString()) as Provider[]).map(({ Name, Options }) => [Name, Options ?? []]),
    );
    for (const [type, { parameters, fixed }] of Object.entries(REMOTE_TYPES)) {
      const known = providers.get(type);
      // Later versions drop providers that closed.
      if (!known) continue;
      for (const name of [...Object.keys(parameters), ...Object.keys(fixed ?? {})]) {
        const option = known.find((one) => one.Name === name);
        const where = `${type}.${name}`;
        if (!option) expect(OAUTH.has(name), where).toBe(true);
        else expect([where, parameters[name] === "obscured"]).toEqual([where, option.IsPassword]);
      }
    }
    expect(Object.keys(REMOTE_TYPES).filter((type) => providers.has(type)).length).toBeGreaterThan(15);
  },
);
