import { expect, test } from "vitest";
import { workerProtocol } from "./worker-protocol.ts";

test("a worker cannot have browsers sent to anything but a web address", () => {
  const facts = { version: "0", capabilities: {}, storage_base_path: "/x", concurrency: 1, free_bytes: null };
  const takes = (data_url: string) => workerProtocol.hello.input.safeParse({ ...facts, data_url }).success;
  expect(["http://127.0.0.1:8421", "https://vault.example/data/1"].map(takes)).toEqual([true, true]);
  expect(["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"].map(takes)).toEqual([false, false, false]);
});
