import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, it } from "vitest";
import { begin } from "./test/begin-session.ts";

const request = (bytes: Buffer) => Object.assign(Readable.from([bytes]), { headers: {} }) as unknown as IncomingMessage;

it("drops what a client has sent that falls silent, and hands its job back", async () => {
  const content = Buffer.alloc(100_000, "x");
  const { session, said, stored } = await begin(content, 300);
  await session.append(request(content.subarray(0, 50_000)), 0);
  const failure = await session.ended;
  expect(failure).toMatchObject({ code: "UNAVAILABLE", retry: true });
  expect(said).toContain("release");
  expect(said).not.toContain("complete");
  expect(await stored()).toEqual([]);
  await expect(session.offset()).rejects.toBe(failure);
});

it("goes on at its offset alone, takes one request at a time, and fails for good where the bytes are wrong", async () => {
  const content = Buffer.from("what was announced");
  const { session, said, stored } = await begin(content, 60_000);
  await session.append(request(content.subarray(0, 5)), 0);
  await expect(session.append(request(content), 0)).rejects.toMatchObject({ code: "CONFLICT", data: { offset: 5 } });
  await expect(session.append(request(Buffer.alloc(14)), 5)).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
  // A connection of which nobody knows yet that it is dead gives way to the next one.
  const stalled = Object.assign(new Readable({ read: () => {} }), { headers: {} }) as unknown as IncomingMessage;
  const first = session.append(stalled, 5).catch((error: { code: string }) => error.code);
  expect(await session.offset()).toBe(5);
  expect(await first).toBe("CANCELLED");
  const wrong = session.append(request(Buffer.alloc(content.length - 5)), 5);
  await expect(wrong).rejects.toMatchObject({ code: "UPLOAD_HASH_MISMATCH" });
  await session.ended;
  expect(said).toContain("complete");
  expect(said).not.toContain("publish");
  expect(await stored()).toEqual([]);
});
