import { generateKeyPairSync } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";
import ssh2 from "ssh2";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectSource, generateKeyPair, hostKeyFromBlob, preflightSource, probeHostKey } from "../src/index.ts";
import { connectTo, everywhere, optionsFor } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing)(`logging in to OpenSSH${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd?.stop());

  it("shows the host key that ssh-keygen made, and tries no authentication for it", async () => {
    const before = sshd.log().length;
    const key = await probeHostKey({ host: sshd.host, port: sshd.port, policy: everywhere });
    expect(key).toEqual(sshd.hostKey);
    const log = sshd.log().slice(before);
    expect(log).not.toMatch(/publickey|password|userauth/i);
  });

  it("lets in with the right key and refuses another", async () => {
    const connection = await connectTo(sshd);
    expect(connection.address).toBe("127.0.0.1");
    connection.close();
    const other = generateKeyPair("stranger");
    const refused = connectTo(sshd, { credential: { kind: "key", privateKey: other.privateKey } });
    await expect(refused).rejects.toMatchObject({ code: "LOGIN_REFUSED" });
    const password = connectTo(sshd, { credential: { kind: "password", password: "guess" } });
    await expect(password).rejects.toMatchObject({ code: "LOGIN_REFUSED" });
  });

  it("lets in with keys made by generateKeyPair, and with an RSA key in PEM", async () => {
    const made = generateKeyPair("made here");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = rsa.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
    const parsed = ssh2.utils.parseKey(pem);
    if (parsed instanceof Error) throw parsed;
    const line = `ssh-rsa ${parsed.getPublicSSH().toString("base64")}`;
    const two = await startSshd({ authorizedKeys: [made.publicKeyLine, line] });
    try {
      for (const privateKey of [made.privateKey, pem, `\r\n${made.privateKey.replaceAll("\n", "\r\n")}`]) {
        const connection = await connectTo(two, { credential: { kind: "key", privateKey } });
        expect(connection.capabilities.sftp).toBe(true);
        connection.close();
      }
    } finally {
      await two.stop();
    }
  });

  it("refuses a server whose key was swapped, and one that has no key of the confirmed kind", async () => {
    const swapped = await startSshd();
    try {
      const confirmed = optionsFor(swapped);
      (await connectSource(confirmed)).close();
      await swapped.rotateHostKey();
      const before = swapped.log().length;
      await expect(connectSource(confirmed)).rejects.toMatchObject({
        code: "HOST_KEY_CHANGED",
        data: { presented: swapped.fingerprint, expected: confirmed.hostKey.fingerprint },
      });
      expect(swapped.log().slice(before)).not.toMatch(/Accepted|Failed|publickey/);
      const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
        type: "pkcs1",
        format: "pem",
      });
      const parsed = ssh2.utils.parseKey(rsa);
      if (parsed instanceof Error) throw parsed;
      const hostKey = hostKeyFromBlob(parsed.getPublicSSH());
      await expect(connectSource({ ...confirmed, hostKey })).rejects.toMatchObject({ code: "HOST_KEY_CHANGED" });
    } finally {
      await swapped.stop();
    }
  });

  it("does not connect to addresses that the policy forbids", async () => {
    const policy = { allow: (ip: string) => ip !== "127.0.0.1" };
    for (const host of ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "2130706433"]) {
      const resolve = host === "localhost" || host === "2130706433" ? async () => ["::1", "127.0.0.1"] : undefined;
      const refused = connectTo(sshd, { host, policy, resolve });
      await expect(refused).rejects.toMatchObject({ code: "TARGET_FORBIDDEN" });
    }
    (await connectTo(sshd, { host: "a name", resolve: async () => ["127.0.0.1"] })).close();
  });

  it("asks the resolver once, so that a second answer cannot lead elsewhere", async () => {
    const answers = [["127.0.0.1"], ["10.0.0.1"]];
    let asked = 0;
    const connection = await connectTo(sshd, { host: "rebinding", resolve: async () => answers[asked++] ?? [] });
    expect([connection.address, asked]).toEqual(["127.0.0.1", 1]);
    connection.close();
  });

  it("says what is wrong with an address", async () => {
    const unresolved = connectTo(sshd, { host: "nowhere", resolve: () => Promise.reject(new Error("ENOTFOUND")) });
    await expect(unresolved).rejects.toMatchObject({ code: "HOST_UNRESOLVED" });
    await expect(connectTo(sshd, { port: 1 })).rejects.toMatchObject({ code: "HOST_UNREACHABLE" });
    const silent = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as AddressInfo;
    await expect(connectTo(sshd, { port, timeoutMs: 300 })).rejects.toMatchObject({ code: "HOST_UNREACHABLE" });
    await expect(probeHostKey({ host: sshd.host, port, policy: everywhere, timeoutMs: 300 })).rejects.toMatchObject({
      code: "HOST_UNREACHABLE",
    });
    silent.close();
  });

  it("refuses user names that could be taken for something else", async () => {
    for (const username of [
      "",
      "-oProxyCommand=x",
      "a b",
      "a@b",
      "a:b",
      "a\nb",
      "a\0",
      "a\u00a0b",
      "a\u200bb",
      "x".repeat(65),
    ]) {
      await expect(connectTo(sshd, { username })).rejects.toMatchObject({ code: "USERNAME_INVALID" });
    }
  });

  it("stops connecting when it is cancelled", async () => {
    const signal = AbortSignal.abort();
    await expect(connectTo(sshd, { signal })).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("checks step by step, up to the step that fails", async () => {
    const good = await preflightSource(optionsFor(sshd), [sshd.home]);
    expect(good.checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "address ok",
      "reach ok",
      "host-key ok",
      "login ok",
      "tools ok",
      `path:${sshd.home} ok`,
      "size ok",
    ]);
    expect(good.ok).toBe(true);
    const last = async (more: Parameters<typeof optionsFor>[1]) => {
      const { ok, checks } = await preflightSource(optionsFor(sshd, more), [sshd.home]);
      expect(ok).toBe(false);
      return checks.map(({ id, status }) => `${id} ${status}`).join(", ");
    };
    expect(await last({ policy: { allow: () => false } })).toBe("address failed");
    expect(await last({ port: 1 })).toBe("address ok, reach failed");
    const hostKey = hostKeyFromBlob(Buffer.from(generateKeyPair("x").publicKeyLine.split(" ")[1] ?? "", "base64"));
    expect(await last({ hostKey })).toBe("address ok, reach ok, host-key failed");
    const privateKey = generateKeyPair("x").privateKey;
    expect(await last({ credential: { kind: "key", privateKey } })).toBe(
      "address ok, reach ok, host-key ok, login failed",
    );
    expect(await last({ credential: { kind: "key", privateKey: "nonsense" } })).toBe("address ok, login failed");
  });
});

/** A server that writes down what it is offered. */
async function recorder(accepts: (attempt: ssh2.AuthContext) => boolean) {
  const key = generateKeyPair("host");
  const attempts: string[] = [];
  const server = new ssh2.Server({ hostKeys: [key.privateKey] }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (attempt) => {
      const offered = attempt.method === "password" ? `password ${attempt.password}` : attempt.method;
      attempts.push(offered);
      if (attempt.method === "keyboard-interactive") {
        attempt.prompt([{ prompt: "Password: ", echo: false }], (answers) => {
          attempts.push(`answers ${answers.join(",")}`);
          if (accepts(attempt)) attempt.accept();
          else attempt.reject();
        });
      } else if (accepts(attempt)) attempt.accept();
      else attempt.reject(["password", "keyboard-interactive", "publickey"]);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    attempts,
    hostKey: hostKeyFromBlob(Buffer.from(key.publicKeyLine.split(" ")[1] ?? "", "base64")),
    port: (server.address() as AddressInfo).port,
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

describe("what a server gets to see", () => {
  const base = { host: "127.0.0.1", username: "u", policy: everywhere };
  const credential = { kind: "password", password: "canary-password" } as const;

  it("is nothing when it has another host key; the same server with the right key pinned sees the password", async () => {
    const server = await recorder(() => false);
    const wrong = hostKeyFromBlob(Buffer.from(generateKeyPair("x").publicKeyLine.split(" ")[1] ?? "", "base64"));
    try {
      const refused = connectSource({ ...base, port: server.port, hostKey: wrong, credential });
      await expect(refused).rejects.toMatchObject({ code: "HOST_KEY_CHANGED" });
      await probeHostKey({ host: "127.0.0.1", port: server.port, policy: everywhere });
      expect(server.attempts).toEqual([]);
      const tried = connectSource({ ...base, port: server.port, hostKey: server.hostKey, credential });
      await expect(tried).rejects.toMatchObject({ code: "LOGIN_REFUSED" });
      expect(server.attempts).toContain("password canary-password");
    } finally {
      await server.stop();
    }
  });

  it("is the password as keyboard-interactive answer where that is the way in", async () => {
    const server = await recorder((attempt) => attempt.method === "keyboard-interactive");
    try {
      // Logged in, and then there is nothing behind the login.
      const login = connectSource({ ...base, port: server.port, hostKey: server.hostKey, credential });
      await expect(login).rejects.toMatchObject({ code: "REMOTE_FAILED" });
      expect(server.attempts).toEqual(["password canary-password", "keyboard-interactive", "answers canary-password"]);
    } finally {
      await server.stop();
    }
  });
});
