import { Writable } from "node:stream";
import { XVaultError } from "@xvault/kernel";
import { describe, expect, test, vi } from "vitest";
import { createLogger, requestLogger } from "./logger.ts";
import { Secret } from "./secret.ts";

const CANARY = "canary-77aa";
const IDENTITY = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SJ7E6QZ";
const PEM = `-----BEGIN OPENSSH PRIVATE KEY-----\n${CANARY}\n-----END OPENSSH PRIVATE KEY-----`;

function recorded(pretty = false) {
  const lines: string[] = [];
  const destination = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      lines.push(line);
      done();
    },
  });
  return { log: createLogger({ name: "test", level: "trace", pretty, destination }), lines };
}

function fieldsOf(line: string | undefined): Record<string, unknown> {
  return JSON.parse(line ?? "") as Record<string, unknown>;
}

describe("the log keeps secrets out (promise 42)", () => {
  test.each([
    "password",
    "passwd",
    "oldPassword",
    "passphrase",
    "privateKey",
    "private_key",
    "token",
    "refreshToken",
    "enrollment_token",
    "authorization",
    "Authorization",
    "cookie",
    "set-cookie",
    "identity",
    "secret",
    "clientSecret",
    "ticket",
    "fileKey",
    "kek",
    "credentials",
    "apiKey",
    "databaseUrl",
  ])("under the name %s at any depth", (name) => {
    const { log, lines } = recorded();
    log.info({ [name]: CANARY, a: { b: [{ c: { [name]: { inner: CANARY } } }] } }, "message");
    log
      .child({ deep: { [name]: CANARY } })
      .child({ [name]: CANARY })
      .info("from a child");
    expect(lines.length).toBe(2);
    expect(lines.join()).not.toContain(CANARY);
    expect(lines.join()).toContain("[secret]");
  });

  test("wrapped ones, bytes, and those that show by their form, wherever they stand", () => {
    const { log, lines } = recorded();
    log.info({ value: new Secret(CANARY), list: [new Secret(CANARY)], bytes: Buffer.from(CANARY) });
    log.info({ note: `see ${IDENTITY}` }, `used ${IDENTITY} and ${PEM} at postgres://app:${CANARY}@db/x`);
    log.info("formatted: %s %j", PEM, { url: `redis://:${CANARY}@r` });
    log.error(new Error(`connect to postgres://app:${CANARY}@db/x failed with ${PEM}`));
    expect(lines.length).toBe(4);
    expect(lines.join()).not.toContain(CANARY);
    expect(lines.join()).not.toContain("SYQCYQ5RQ");
    expect(lines.join()).toContain("[11 bytes]");
    for (const line of lines) fieldsOf(line);
  });

  test("and what drivers hang on their errors", () => {
    const { log, lines } = recorded();
    const cause = Object.assign(new Error("duplicate key"), { code: "23505", detail: CANARY, parameters: [CANARY] });
    log.error(
      { err: new XVaultError("CONFLICT", undefined, { cause, data: { field: "email", token: CANARY } }) },
      "failed",
    );
    expect(lines.join()).not.toContain(CANARY);
    expect(fieldsOf(lines[0])["err"]).toMatchObject({
      type: "XVaultError",
      code: "CONFLICT",
      message: "This changed meanwhile, or already exists.",
      retry: false,
      data: { field: "email", token: "[secret]" },
      cause: { type: "Error", code: "23505", message: "duplicate key" },
    });
  });

  test("in lines for people too", async () => {
    const { log, lines } = recorded(true);
    log.warn({ password: CANARY, a: 1 }, `message ${IDENTITY}`);
    await vi.waitFor(() => expect(lines.join()).toContain("message"));
    expect(lines.join()).not.toContain(CANARY);
    expect(lines.join()).not.toContain("SYQCYQ5RQ");
  });
});

describe("the log", () => {
  test("says what it is told: ordinary fields, dates, big numbers, errors under any name", () => {
    const { log, lines } = recorded();
    log.info(
      { jobId: "j", count: 3, big: 12n, at: new Date(0), nothing: null, error: new Error("no"), publicKey: "pk" },
      "done",
    );
    expect(fieldsOf(lines[0])).toMatchObject({
      level: "info",
      name: "test",
      msg: "done",
      jobId: "j",
      count: 3,
      big: "12",
      at: "1970-01-01T00:00:00.000Z",
      nothing: null,
      error: { type: "Error", message: "no" },
      publicKey: "pk",
    });
  });

  test("survives cycles, great depths and long chains of causes", () => {
    const { log, lines } = recorded();
    const circle: Record<string, unknown> = { name: "circle" };
    circle["self"] = circle;
    let chain = new Error("first");
    for (let at = 0; at < 50; at += 1) chain = new Error(`wrapped ${at}`, { cause: chain });
    const own = new Error("own cause");
    own.cause = own;
    let deep: object = {};
    for (let at = 0; at < 50; at += 1) deep = { deep };
    log.error({ circle, chain, own, deep }, "odd");
    expect(fieldsOf(lines[0])["circle"]).toEqual({ name: "circle", self: "[cycle]" });
    expect(lines[0]).toContain("wrapped 49");
  });

  test("carries the request's id through children", () => {
    const { log, lines } = recorded();
    requestLogger(log, "req-1").child({ part: "auth" }).info("hello");
    expect(fieldsOf(lines[0])).toMatchObject({ requestId: "req-1", part: "auth" });
  });

  test("respects its level", () => {
    const lines: string[] = [];
    const log = createLogger({ name: "test", level: "warn", destination: { write: (line) => void lines.push(line) } });
    log.info("quiet");
    log.warn("loud");
    expect(lines.map((line) => fieldsOf(line)["msg"])).toEqual(["loud"]);
  });
});
