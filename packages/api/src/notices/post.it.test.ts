// Where webhooks may lead (promise 37), against real receivers on loopback and a resolver that says what it is told to.
import { createAddressPolicy } from "@xvault/platform";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { post } from "./post.ts";
import { type Receiver, startReceiver } from "./test/receiver.ts";

/** As a hub in production: nothing private but what its operator lists. */
const CLOSED = createAddressPolicy({ allowPrivate: false, allowedRanges: [] });
const LISTED = createAddressPolicy({ allowPrivate: false, allowedRanges: ["127.0.0.1/32"] });

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const forbidden = { status: null, error: expect.stringContaining("lies in a range that xVault must not connect to") };

describe("an address that leads inside (promise 37)", () => {
  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::1]",
  ])("is not reached as %s", async (host) => {
    const url = `http://${host}:${receiver.port}/`;
    expect(await post(url, {}, "{}", { policy: CLOSED })).toEqual(forbidden);
    expect(receiver.received).toEqual([]);
  });

  it.each(["10.0.0.5", "169.254.169.254", "192.168.1.1", "fd00::1", "fe80::1", "0.0.0.0", "64:ff9b::a00:1"])(
    "is not reached by a name that leads to %s, not even beside a public one",
    async (address) => {
      const url = "https://hooks.example.test/";
      for (const answer of [[address], ["203.0.114.7", address]]) {
        const options = { policy: CLOSED, resolve: async () => answer };
        expect(await post(url, {}, "{}", options)).toEqual(forbidden);
      }
    },
  );

  it("is reached when the operator lists its range, under every way to write it", async () => {
    for (const host of ["127.0.0.1", "127.1", "0x7f000001", "2130706433"]) {
      const url = `http://${host}:${receiver.port}/`;
      expect(await post(url, {}, "{}", { policy: LISTED })).toEqual({ status: 200, error: null });
    }
    expect(receiver.received).toHaveLength(4);
  });

  it("is judged anew in every try, and the connection goes to what was judged", async () => {
    const answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]];
    // The name exists for this resolver alone: had the connection looked it up itself, it would go nowhere.
    const options = { policy: LISTED, resolve: async () => answers.shift() ?? [] };
    const url = `http://rebinding.example.test:${receiver.port}/`;
    expect(await post(url, {}, "1", options)).toEqual({ status: 200, error: null });
    expect(await post(url, {}, "2", options)).toEqual(forbidden);
    expect(await post(url, {}, "3", options)).toEqual({ status: 200, error: null });
    expect(receiver.received.map(({ body }) => body)).toEqual(["1", "3"]);
    expect(receiver.received[0]?.headers.host).toBe(`rebinding.example.test:${receiver.port}`);
  });

  it("is not reached by way of a redirect", async () => {
    const inside = await startReceiver();
    receiver.answer = (response) => void response.writeHead(307, { location: inside.url }).end();
    expect(await post(receiver.url, {}, "{}", { policy: LISTED })).toEqual({ status: 307, error: null });
    expect(inside.received).toEqual([]);
    await inside.close();
  });
});

describe("a receiver", () => {
  it("on the internet is not sent anything unenciphered", async () => {
    const options = { policy: CLOSED, resolve: async () => ["203.0.114.7"] };
    expect(await post("http://hooks.example.test/", {}, "{}", options)).toEqual({
      status: null,
      error: "Over the internet, only https:// is sent to.",
    });
  });

  it("that does not answer in time is given up", async () => {
    receiver.answer = () => {};
    const answer = await post(receiver.url, {}, "{}", { policy: LISTED, limitMs: 200 });
    expect(answer).toEqual({ status: null, error: "No answer in time." });
    expect(receiver.received).toHaveLength(1);
  });

  it("that answers without end is cut off", async () => {
    const { promise: cut, resolve } = Promise.withResolvers<void>();
    receiver.answer = (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("x".repeat(500)), 5);
      response.on("close", () => {
        clearInterval(timer);
        resolve();
      });
    };
    expect(await post(receiver.url, {}, "{}", { policy: LISTED })).toEqual({ status: 200, error: null });
    await cut;
  });

  it("that is not there is told of in words", async () => {
    const { url } = receiver;
    await receiver.close();
    const answer = await post(url, {}, "{}", { policy: LISTED });
    receiver = await startReceiver();
    expect(answer).toEqual({ status: null, error: "Nothing listens at that address." });
  });

  it("is checked by its certificate, for the name that was asked for", async () => {
    const folder = mkdtempSync(join(tmpdir(), "xvault-certificate-"));
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    const files = ["-keyout", join(folder, "key"), "-out", join(folder, "cert")];
    const names = ["-subj", "/CN=hooks", "-addext", "subjectAltName=DNS:hooks.example.test"];
    execFileSync("openssl", [...made, ...files, ...names], { stdio: "ignore" });
    const [key, cert] = ["key", "cert"].map((name) => readFileSync(join(folder, name), "utf8")) as [string, string];
    rmSync(folder, { recursive: true });
    const secure = await startReceiver({ key, cert });

    const trusting = { policy: LISTED, resolve: async () => ["127.0.0.1"], ca: cert };
    const at = (name: string) => `https://${name}:${secure.port}/`;
    expect(await post(at("hooks.example.test"), {}, "{}", trusting)).toEqual({ status: 200, error: null });
    expect(await post(at("other.example.test"), {}, "{}", trusting)).toEqual({
      status: null,
      error: "The server's certificate is for another name.",
    });
    expect(await post(at("hooks.example.test"), {}, "{}", { policy: LISTED, resolve: trusting.resolve })).toEqual({
      status: null,
      error: "The server's certificate is signed by nobody who is known.",
    });
    expect(secure.received).toHaveLength(1);
    await secure.close();
  });
});
