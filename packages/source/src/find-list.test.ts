import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, linkSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRecord } from "./find-list.ts";
import { Owners } from "./owners.ts";

const record = (...texts: string[]) => Buffer.from(texts.join("\0"), "latin1");

describe("a record of find", () => {
  it("keeps owners' names apart from the rest, whatever they hold", () => {
    const numbers = "f 2 17 1577836800.1234567890 -1.5000000000 42 4755 3 8 1000 50";
    const found = parseRecord(record(`${numbers} domain users\n 7`, " 0 ", "/a b\n\xff"));
    expect(found).toEqual({
      kind: "f",
      depth: 2,
      size: 17,
      mtimeNs: 1_577_836_800_123_456_789n,
      ctimeNs: -500_000_000n,
      inode: 42n,
      mode: 0o4755,
      nlink: 3,
      blocks: 8,
      uid: 1000,
      gid: 50,
      uname: "domain users\n 7",
      gname: " 0 ",
      absolute: Buffer.from("/a b\n\xff", "latin1"),
    });
  });

  it("has no name for an owner that find knows by number only", () => {
    const found = parseRecord(record("d 0 0 1.0 1.0 1 755 2 8 1000 50 1000", "50", "/a"));
    expect(found).not.toHaveProperty("uname");
    expect(found).not.toHaveProperty("gname");
  });

  it("takes the names of owners that were known before from there", () => {
    const owners = new Owners("alice:1000\n", "staff:50\n");
    const found = parseRecord(record("f 2 17 1.0 1.0 42 644 1 8 1000 50 ", "", "/a"), owners);
    expect([found.uname, found.gname, found.absolute.toString()]).toEqual(["alice", "staff", "/a"]);
    expect(parseRecord(record("f 2 17 1.0 1.0 42 644 1 8 1000 50 1000", "50", "/a"), owners)).not.toHaveProperty(
      "uname",
    );
  });

  it("is refused when something is missing", () => {
    expect(() => parseRecord(record("f 2 17 1.0 1.0 42 644 1 8 0 0 root", "/a"))).toThrow("malformed");
    expect(() => parseRecord(record("f 2 17 1.0 42 644 1 8 0 0", "root", "/a"))).toThrow("malformed");
  });
});

const PRINTED = "%y %d %s %T@ %C@ %i %m %n %b %U %G %u\\0%g\\0%p\\0";
const root = process.getuid?.() === 0;

// A login name may hold spaces where it comes from a directory service; a passwd file of our own stands for one.
describe.skipIf(!root)(`names with spaces${root ? "" : " (skipped: another passwd file takes root)"}`, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "xvault-find-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("come from find as they are", () => {
    const file = join(dir, "file");
    writeFileSync(file, "12345");
    chownSync(file, 54_321, 54_322);
    chmodSync(file, 0o2640);
    linkSync(file, join(dir, "other name"));
    writeFileSync(join(dir, "passwd"), "two words 0:x:54321:54322::/:/bin/sh\n");
    writeFileSync(join(dir, "group"), "domain users:x:54322:\n");
    const script = `mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && exec find "$1/file" -printf "${PRINTED}"`;
    const out = execFileSync("unshare", ["-m", "sh", "-c", script, "sh", dir]);
    const stat = lstatSync(file, { bigint: true });
    expect(parseRecord(out.subarray(0, -1))).toEqual({
      kind: "f",
      depth: 0,
      size: 5,
      mtimeNs: stat.mtimeNs,
      ctimeNs: stat.ctimeNs,
      inode: stat.ino,
      mode: 0o2640,
      nlink: 2,
      blocks: Number(stat.blocks),
      uid: 54_321,
      gid: 54_322,
      uname: "two words 0",
      gname: "domain users",
      absolute: Buffer.from(file),
    });
  });
});
