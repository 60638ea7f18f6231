import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Link, openLink } from "../src/link.ts";
import { Selection } from "../src/selection.ts";
import { SftpSession } from "../src/sftp/session.ts";
import { walk } from "../src/sftp/walk.ts";
import { optionsFor, plan } from "./trees.ts";

const missing = sshdAvailable();
const DIRECTORIES = 20;
/** More than one answer of OpenSSH's server holds, so a directory takes two turns. */
const FILES = 101;

describe.skipIf(missing)(`a walk over SFTP${missing ? ` (skipped: ${missing})` : ""}`, () => {
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

  it("has read small directories to their end before it is their turn, or each would cost a round trip", async () => {
    const root = join(sshd.home, "wide");
    for (let dir = 0; dir < DIRECTORIES; dir += 1) {
      mkdirSync(join(root, `d${dir}`), { recursive: true });
      for (let file = 0; file < FILES; file += 1) writeFileSync(join(root, `d${dir}/f${file}`), "");
    }
    const session = await SftpSession.open(link);
    const readdir = session.readdir.bind(session);
    let asked = 0;
    let answered = 0;
    session.readdir = async (handle) => {
      asked += 1;
      return readdir(handle).finally(() => (answered += 1));
    };
    const wanted = plan([root]);
    const selection = new Selection(wanted.paths, wanted);
    const problems: unknown[] = [];
    const items = walk(session, selection, false, {
      readLinks: true,
      onProblem: (one) => problems.push(one),
      onSpecial: () => {},
    });
    let found = 0;
    // The root and the first directory: from there on the others are read ahead.
    for (; found < 2; found += 1) expect((await items.next()).done).toBe(false);
    await items.next();
    for (let before = -1; before !== asked || answered !== asked; await sleep(200)) before = asked;
    const ahead = asked;
    found += 1;
    for await (const _ of items) found += 1;
    expect(problems).toEqual([]);
    expect(found).toBe(1 + DIRECTORIES * (FILES + 1));
    expect(asked).toBe(ahead);
    session.close();
  });
});
