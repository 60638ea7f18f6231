// A process as an app would be one, for lifecycle.it.test.ts. The first argument chooses how its handlers behave.
import { setTimeout as sleep } from "node:timers/promises";
import { createLifecycle, createLogger, exitWhenParentGone } from "../src/index.ts";

const say = (word: string) => process.stdout.write(`${word}\n`);
const lifecycle = createLifecycle({ log: createLogger({ name: "child", level: "silent" }), graceMs: 500 });
exitWhenParentGone(lifecycle);
lifecycle.signal.addEventListener("abort", () => say("aborted"));
lifecycle.onShutdown("first", () => void say("first"));
lifecycle.onShutdown("failing", () => {
  throw new Error("on purpose");
});
lifecycle.onShutdown("last", async () => {
  say("last");
  if (process.argv[2] === "stuck") await new Promise(() => {});
  await sleep(50);
  say("last done");
});
const alive = setInterval(() => {}, 1000);
lifecycle.onShutdown("alive", () => clearInterval(alive));
if (process.argv[2] === "twice") await Promise.all([lifecycle.shutdown("a", 3), lifecycle.shutdown("b", 4)]);
say("ready");
