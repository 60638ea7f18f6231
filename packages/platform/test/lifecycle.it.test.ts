import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("lifecycle-child.ts", import.meta.url));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(mode: string, options: { stdio?: StdioOptions; env?: Record<string, string> } = {}) {
  const child = spawn(process.execPath, [SCRIPT, mode], {
    stdio: options.stdio ?? ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...options.env },
  });
  children.push(child);
  const words: string[] = [];
  let heard = () => {};
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    words.push(...text.split("\n").filter(Boolean));
    heard();
  });
  // Not "close": a child whose channel was disconnected never emits it.
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  const closed = child.stdout ? once(child.stdout, "end").then(() => exited) : exited;
  return {
    child,
    words,
    closed,
    async until(word: string) {
      while (!words.includes(word)) await Promise.race([new Promise<void>((resolve) => (heard = resolve)), closed]);
    },
  };
}

const IN_ORDER = ["ready", "aborted", "last", "last done", "first"];

describe("a process ends in order", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "on %s: the last handler first, a failing one does not stop the rest",
    async (signal) => {
      const { child, words, closed, until } = start("plain");
      await until("ready");
      child.kill(signal);
      expect(await closed).toEqual([0, null]);
      expect(words).toEqual(IN_ORDER);
    },
  );

  test("at once on a second signal", async () => {
    const { child, words, closed, until } = start("patient");
    await until("ready");
    child.kill("SIGTERM");
    await until("last");
    child.kill("SIGTERM");
    expect(await closed).toEqual([143, null]);
    expect(words).not.toContain("first");
  });

  test("without a handler that takes longer than the grace", async () => {
    const { child, words, closed, until } = start("stuck");
    await until("ready");
    child.kill("SIGTERM");
    expect(await closed).toEqual([1, null]);
    expect(words).not.toContain("first");
  });

  test("once, however often it is told to", async () => {
    const { words, closed } = start("twice");
    expect(await closed).toEqual([3, null]);
    expect(words).toEqual(IN_ORDER.slice(1));
  });
});

describe("a supervised process ends with its supervisor", () => {
  test("when the IPC channel closes", async () => {
    const { child, words, closed, until } = start("plain", { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    await until("ready");
    child.disconnect();
    expect(await closed).toEqual([0, null]);
    expect(words).toEqual(IN_ORDER);
  });

  test("when standard input closes and it was told that it is supervised", async () => {
    const { child, words, closed, until } = start("plain", {
      stdio: ["pipe", "pipe", "inherit"],
      env: { XVAULT_SUPERVISED: "1" },
    });
    await until("ready");
    child.stdin?.destroy();
    expect(await closed).toEqual([0, null]);
    expect(words).toEqual(IN_ORDER);
  });

  test("and stays when nobody supervises it, though its standard input is closed", async () => {
    const { child, words, closed, until } = start("plain", { stdio: ["ignore", "pipe", "inherit"] });
    await until("ready");
    expect(child.exitCode).toBeNull();
    expect(words).toEqual(["ready"]);
    child.kill("SIGTERM");
    expect(await closed).toEqual([0, null]);
  });
});
