import { XVaultError } from "@xvault/kernel";
import { expect, it } from "vitest";
import type { ServiceDeps } from "../deps.ts";
import { createItems } from "./scheduler-put-off.ts";

const fail = (code: "INTERNAL" | "UNAVAILABLE") => () => Promise.reject(new XVaultError(code));

it("leaves what fails alone for longer and longer, at most ten minutes, and forgets that when it goes well", async () => {
  let now = 0;
  const said: unknown[] = [];
  const log = { error: (about: { seconds: number }) => said.push(about.seconds) } as unknown as ServiceDeps["log"];
  const items = createItems(log, { kind: "jobId", failed: "", now: () => now });
  await items.attempt("a", fail("INTERNAL"));
  await items.attempt("a", fail("INTERNAL"));
  expect(items.putOff()).toEqual(["a"]);
  expect(said).toEqual([30]);
  for (let turn = 0; turn < 9; turn += 1) {
    now += 600_000;
    expect(items.putOff()).toEqual([]);
    await items.attempt("a", fail("INTERNAL"));
  }
  expect(said.slice(0, 4)).toEqual([30, 60, 120, 240]);
  expect(said.slice(-2)).toEqual([600, 600]);
  now += 600_000;
  await items.attempt("a", async () => {});
  await items.attempt("a", fail("INTERNAL"));
  expect(said.at(-1)).toBe(30);
});

it("puts nothing off because the database is away", async () => {
  const log = { error: () => expect.unreachable() } as unknown as ServiceDeps["log"];
  const items = createItems(log, { kind: "jobId", failed: "" });
  await expect(items.attempt("a", fail("UNAVAILABLE"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(items.putOff()).toEqual([]);
});
