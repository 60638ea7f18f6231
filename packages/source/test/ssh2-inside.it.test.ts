import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Link, openLink } from "../src/link.ts";
import { windowFor } from "../src/ssh2-inside.ts";
import { optionsFor } from "./trees.ts";

const missing = sshdAvailable();
const MIB = 1024 * 1024;

/** Notices when a new version of ssh2 no longer has the inside that `ssh2-inside.ts` works on. */
describe.skipIf(missing)(`what is changed inside ssh2${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let link: Link;
  beforeAll(async () => {
    sshd = await startSshd();
    link = await openLink(optionsFor(sshd));
  });
  afterAll(async () => {
    link?.close();
    await sshd?.stop();
  });

  it("is the key, which becomes an object, unless ssh2's own compiled ciphers are there", () => {
    const inner = createRequire(import.meta.url)("ssh2/lib/protocol/crypto.js") as { bindingAvailable: boolean };
    expect(link.keyObjects).toBe(!inner.bindingAvailable);
  });

  it("is the receive window, which lets more come than ssh2 would, as much as is right for the line, and not more while nobody reads", async () => {
    const { channel, consumed, intake } = await link.exec("head -c 40000000 /dev/zero", (opened) => opened);
    if (!intake) throw new Error("there is no intake");
    let held = -1;
    for (let still = 0; still < 5;) {
      await sleep(100);
      still = intake.held === held && held > 0 ? still + 1 : 0;
      held = intake.held;
    }
    // On a busy machine loopback can be as slow as a long line.
    const right = windowFor(link.roundTripMs);
    expect(held).toBeGreaterThan(3 * MIB);
    expect(held).toBeGreaterThan(right * 0.7);
    expect(held).toBeLessThanOrEqual(right);
    let total = 0;
    let most = 0;
    channel.stderr.resume();
    const ended = new Promise((resolve) => channel.once("close", resolve));
    const takeAll = () => {
      for (let piece = intake.take(); piece; piece = intake.take()) {
        total += piece.length;
        consumed();
        most = Math.max(most, intake.held);
      }
    };
    intake.onMore = takeAll;
    takeAll();
    channel.on("readable", () => void channel.read());
    await ended;
    expect(total).toBe(40_000_000);
    expect(most).toBeLessThanOrEqual(right);
  });
});
