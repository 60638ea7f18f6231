import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { signatureOf } from "./sign.ts";

test("a signature is what openssl computes over time, dot and body", () => {
  const body = '{"event":"test","data":{"name":"Zoë"}}';
  const { stdout } = spawnSync("openssl", ["dgst", "-sha256", "-hmac", "xvwh_secret", "-hex"], {
    input: `1767225600.${body}`,
    encoding: "utf8",
  });
  const mac = stdout.trim().split(" ").at(-1) ?? "";
  expect(mac).toMatch(/^[0-9a-f]{64}$/);
  expect(signatureOf("xvwh_secret", 1_767_225_600, body)).toBe(`t=1767225600,v1=${mac}`);
});

test("time, body and secret are all part of it", () => {
  const of = (secret: string, at: number, body: string) => signatureOf(secret, at, body).split("v1=")[1];
  const all = [of("a", 1, "{}"), of("b", 1, "{}"), of("a", 2, "{}"), of("a", 1, "{} ")];
  expect(new Set(all).size).toBe(4);
});
