import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runVerify, storedObjects } from "../src/index.ts";
import { backupInChild } from "./child.ts";
import { because, type Lab, noSshd, openLab, TRANSPORTS } from "./lab.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 600 * MIB;
/** Generous: Node alone has some 60 MiB. A pipeline that kept what it reads would have the file's size. */
const BOUND = 300 * MIB;

describe.skipIf(noSshd)(`memory stays bounded while one large file is backed up${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    const file = openSync(join(tree, "large"), "wx");
    const piece = Buffer.alloc(4 * MIB, "what compresses well takes little of the disk and all of the way\n");
    for (let at = 0; at < FILE_BYTES; at += piece.length) writeSync(file, piece);
    closeSync(file);
  });
  afterAll(() => lab?.stop());

  test.each(TRANSPORTS)("%s: 600 MiB with a heap of 64 MiB", async (transport) => {
    const ran = await backupInChild(lab, join(lab.dir, transport), [tree], {
      transport,
      nodeFlags: ["--max-old-space-size=64"],
    });
    expect(ran).toMatchObject({ signal: null, said: "", report: { warnings: [], plainBytes: FILE_BYTES } });
    expect(ran.report?.peakMemory).toBeLessThan(BOUND);
    expect(ran.report?.peakMemory).toBeGreaterThan(30 * MIB);
    const store = await openLocalStore({ root: ran.storeRoot });
    const checked = await lab.check(ran.place, storedObjects(store, ran.place));
    const { reporter } = createReportLog();
    const verified = await runVerify({ checked, artifact: null, reporter, signal: new AbortController().signal });
    expect(verified.bytes).toBe(checked.manifest.artifact.size_bytes);
  });
});
