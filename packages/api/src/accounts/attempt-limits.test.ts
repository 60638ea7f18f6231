import { expect, test } from "vitest";
import { createAttemptLimiter } from "./attempt-limits.ts";

const limiter = () => createAttemptLimiter({ perAccount: 3, perAccountFromAll: 7, perAddress: 5 });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: { code: string }) => error.code,
  );

test("who guesses at an account shuts themselves out, and not its owner elsewhere", async () => {
  const { spend } = limiter();
  for (let guess = 0; guess < 3; guess += 1) expect(await codeOf(spend("ann", "203.0.113.1"))).toBe(null);
  expect(await codeOf(spend("ann", "203.0.113.1"))).toBe("RATE_LIMITED");
  expect(await codeOf(spend("ann", "198.51.100.1"))).toBe(null);
});

test("many addresses together are braked for one account, one address for many accounts, by its network where that is IPv6", async () => {
  const one = limiter();
  for (let at = 1; at <= 7; at += 1) expect(await codeOf(one.spend("ann", `203.0.113.${at}`))).toBe(null);
  expect(await codeOf(one.spend("ann", "203.0.113.8"))).toBe("RATE_LIMITED");
  const other = limiter();
  for (let at = 1; at <= 5; at += 1) expect(await codeOf(other.spend(`person ${at}`, `2001:db8::${at}`))).toBe(null);
  expect(await codeOf(other.spend("person 6", "2001:db8::6"))).toBe("RATE_LIMITED");
  expect(await codeOf(other.spend("person 6", "2001:db8:0:1::6"))).toBe(null);
});

test("a right password forgets the guesses before it", async () => {
  const { spend, forgive } = limiter();
  for (let turn = 0; turn < 5; turn += 1) {
    expect(await codeOf(spend("ann", "203.0.113.1"))).toBe(null);
    await forgive("ann", "203.0.113.1");
  }
});
