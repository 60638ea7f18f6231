import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BORDER_SIZES, memoryReader, memorySink, patternBytes } from "../../test/memory.ts";
import { decryptText, encryptText, formatRecoveryKit, generateIdentity, recipientOf } from "../identity.ts";
import { ageEncrypt } from "./encrypt.ts";
import { parseAgeHeader, unwrapFileKey } from "./header.ts";
import { openPayload } from "./open.ts";

const installed = spawnSync("age", ["--version"]).status === 0;
const MAX_BUFFER = 64 * 1024 * 1024;

describe.skipIf(!installed)(`the stock age program${installed ? "" : " (skipped: age is not installed)"}`, async () => {
  const first = await generateIdentity();
  const second = await generateIdentity();
  let folder = "";
  let firstFile = "";
  let secondFile = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "xvault-age-"));
    firstFile = join(folder, "first.txt");
    secondFile = join(folder, "second.txt");
    writeFileSync(firstFile, `${first.identity}\n`);
    writeFileSync(secondFile, `${second.identity}\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function age(args: string[], input: Buffer | string): Buffer {
    return execFileSync("age", args, { input, maxBuffer: MAX_BUFFER, stdio: ["pipe", "pipe", "pipe"] });
  }

  async function ours(plain: Buffer): Promise<Buffer> {
    const next = memorySink();
    const { sink } = await ageEncrypt(next, [first.recipient, second.recipient]);
    await sink.write(plain);
    await sink.close();
    return next.bytes();
  }

  it.each(BORDER_SIZES)("decrypts our file of %i bytes for each recipient", async (size) => {
    const plain = patternBytes(size);
    const file = await ours(plain);
    expect(age(["-d", "-i", firstFile], file).equals(plain)).toBe(true);
    expect(age(["-d", "-i", secondFile], file).equals(plain)).toBe(true);
  });

  it.each(BORDER_SIZES)("makes a file of %i bytes that we read", async (size) => {
    const plain = patternBytes(size);
    const file = age(["-r", first.recipient, "-r", second.recipient], plain);
    const length = parseAgeHeader(file)?.length ?? 0;
    const fileKey = await unwrapFileKey(file.subarray(0, length), [second.identity]);
    const reader = await openPayload(memoryReader(file), length, fileKey);
    expect((await reader.read(0, reader.size)).equals(plain)).toBe(true);
  });

  it("refuses our file when it was cut at the border of a chunk", async () => {
    const file = await ours(patternBytes(65_536 * 2));
    expect(() => age(["-d", "-i", firstFile], file.subarray(0, file.length - 65_552))).toThrow();
  });

  it("takes a recovery kit as an identity file", async () => {
    const kit = join(folder, "kit.txt");
    const text = formatRecoveryKit({
      ...second,
      previous: [first],
      workspace: "Ångström & Söhne\nAGE-SECRET-KEY-1INJECTED",
      hubRootPublicKey: Buffer.alloc(32, 5).toString("base64"),
      createdAt: new Date("2026-11-20T12:00:00Z"),
      url: "https://backup.example.org",
    });
    writeFileSync(kit, text);
    const plain = patternBytes(100);
    expect(age(["-d", "-i", kit], await ours(plain)).equals(plain)).toBe(true);
    const old = age(["-r", first.recipient], plain);
    expect(age(["-d", "-i", kit], old).equals(plain)).toBe(true);
  });

  it("reads our armored text, and we read its", async () => {
    expect(age(["-d", "-i", firstFile], await encryptText(first.recipient, "grüße")).toString()).toBe("grüße");
    expect(await decryptText(first.identity, age(["-a", "-r", first.recipient], "grüße").toString())).toBe("grüße");
  });

  it("agrees with us on the recipient of an identity", async () => {
    const made = execFileSync("age-keygen", { stdio: ["ignore", "pipe", "pipe"] }).toString();
    const recipient = /# public key: (\S+)/.exec(made)?.[1];
    expect(await recipientOf(made.split("\n").find((line) => line.startsWith("AGE-")) ?? "")).toBe(recipient);
  });
});
