// A process as an app would be one, for lifecycle.it.test.ts. The first argument chooses how its handlers behave.
import { setTimeout as sleep } from "node:timers/promises";
import { createLifecycle, createLogger, exitWhenParentGone } from "../src/index.ts";

const say = (word: string) => process.stdout.write(`${word}\n`);
const mode = process.argv[2];
const log = createLogger({ name: "child", level: "silent" });
const lifecycle = createLifecycle({ log, graceMs: mode === "stuck" ? 500 : 600_000 });
exitWhenParentGone(lifecycle);
lifecycle.signal.addEventListener("abort", () => say("aborted"));
lifecycle.onShutdown("first", () => void say("first"));
lifecycle.onShutdown("failing", () => {
  throw new Error("on purpose");
});
lifecycle.onShutdown("last", async () => {
  say("last");
  if (mode === "stuck" || mode === "patient") await new Promise(() => {});
  await sleep(50);
  say("last done");
});
const alive = setInterval(() => {}, 1000);
lifecycle.onShutdown("alive", () => clearInterval(alive));
if (mode === "twice") await Promise.all([lifecycle.shutdown("a", 3), lifecycle.shutdown("b", 4)]);
say("ready");
