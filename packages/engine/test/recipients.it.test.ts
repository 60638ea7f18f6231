import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateIdentity, recipientFingerprint, unwrapFileKey } from "@xvault/crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysOf, unsealSnapshot } from "../src/index.ts";
import { because, codeOf, filesBelow, identityFile, type Lab, noSshd, openLab, shell, toolsMissing } from "./lab.ts";

const noAge = toolsMissing("age", "zstd", "tar");

describe.skipIf(noSshd)(`several recipients: each identity alone opens a snapshot${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "file"), "for several");
  });
  afterAll(() => lab?.stop());

  test("each of three opens it, another does not (KEY_MISMATCH) and writes nothing", async () => {
    const three = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
    const { place, manifest } = await lab.backup([tree], { recipients: three.map(({ recipient }) => recipient) });
    expect(manifest.encryption.recipients).toEqual(
      await Promise.all(three.map(async ({ recipient }) => ({ fingerprint: await recipientFingerprint(recipient) }))),
    );
    for (const [number, { identity }] of three.entries()) {
      const to = join(lab.dir, `opened-${number}`);
      await lab.restore(place, to, { identities: [identity] });
      expect(readFileSync(`${to}${tree}/file`, "utf8")).toBe("for several");
    }
    const to = join(lab.dir, "not-opened");
    const { identity: stranger } = await generateIdentity();
    expect(await codeOf(lab.restore(place, to, { identities: [stranger] }))).toBe("KEY_MISMATCH");
    expect(await codeOf(lab.restore(place, to, { identities: [] }))).toBe("KEY_MISMATCH");
    expect(filesBelow(to)).toEqual([]);
    await lab.restore(place, to, { identities: [stranger, three[2]?.identity ?? ""] });
    expect(filesBelow(to).length).toBe(1);
  });

  test.skipIf(noAge)(`stock age opens it with each${because(noAge)}`, async () => {
    const two = await Promise.all([generateIdentity(), generateIdentity()]);
    const { place } = await lab.backup([tree], { recipients: two.map(({ recipient }) => recipient) });
    const artifact = join(lab.storeRoot, keysOf(place).artifact);
    const read = (identity: string) =>
      shell('age -d -i "$1" "$2" | zstd -d | tar -x -O -f -', [identityFile(lab, identity), artifact]).toString();
    for (const { identity } of two) expect(read(identity)).toBe("for several");
    expect(() => read(lab.keys.identity)).toThrow(/no identity matched/);
  });

  test("a change of key: the new snapshot opens with the new one alone, the old one stays readable", async () => {
    const next = await generateIdentity();
    const before = await lab.backup([tree]);
    const after = await lab.backup([tree], { recipients: [next.recipient] });
    expect(await codeOf(lab.open(before.place))).toBe("none");
    expect(await codeOf(lab.open(after.place, { identities: [next.identity] }))).toBe("none");
    expect(await codeOf(lab.open(after.place))).toBe("KEY_MISMATCH");
    expect(await codeOf(lab.open(before.place, { identities: [next.identity] }))).toBe("KEY_MISMATCH");
  });

  test("file keys of one snapshot, or of its index, open nothing else", async () => {
    const [one, other] = [await lab.backup([tree]), await lab.backup([tree])];
    const keysFor = async (place: typeof one.place) => {
      const { headers } = await lab.check(place);
      return {
        artifact: await unwrapFileKey(headers.artifact, [lab.keys.identity]),
        index: await unwrapFileKey(headers.index, [lab.keys.identity]),
      };
    };
    const [mine, theirs] = [await keysFor(one.place), await keysFor(other.place)];
    const checked = await lab.check(one.place);
    expect(await codeOf(unsealSnapshot(checked, mine))).toBe("none");
    expect(await codeOf(unsealSnapshot(checked, theirs))).toBe("ARTIFACT_CORRUPT");
    expect(await codeOf(unsealSnapshot(checked, { artifact: mine.index, index: mine.artifact }))).toBe(
      "ARTIFACT_CORRUPT",
    );
  });
});
