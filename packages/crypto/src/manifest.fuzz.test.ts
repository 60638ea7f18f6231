import type { ManifestBody } from "@xvault/contracts";
import { newId } from "@xvault/kernel";
import { fuzz, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { manifestBytes, manifestSha256, parseManifest, signManifest, verifyManifest } from "./manifest.ts";
import { issueCertificate } from "./signing/certificate.ts";
import { generateSigningKey } from "./signing/ed25519.ts";

const root = generateSigningKey();
const signing = generateSigningKey();
const workerId = newId();
const sha256 = "0123456789abcdef".repeat(4);
const body: ManifestBody = {
  format: 1,
  tenant_id: newId(),
  source_id: newId(),
  snapshot_id: newId(),
  job_id: newId(),
  worker_id: workerId,
  attempt: 1,
  engine: "archive",
  started_at: "2026-01-01T00:00:00.000Z",
  created_at: "2026-01-01T00:01:00.000Z",
  sequence: 2,
  previous: { snapshot_id: newId(), manifest_sha256: sha256 },
  partial: false,
  artifact: {
    name: "backup.tar.zst.enc",
    size_bytes: 2_000_000,
    sha256,
    header_sha256: sha256,
    header_bytes: 200,
    compressed_bytes: 1_990_000,
    tar_bytes: 9_000_000,
  },
  index: { name: "index.zst.enc", size_bytes: 900, sha256, header_sha256: sha256, header_bytes: 200 },
  blocks: { name: "blocks.bin", block_bytes: 1_048_576, count: 2, root: sha256 },
  encryption: { algorithm: "age-encryption.org/v1", recipients: [{ fingerprint: sha256.slice(32) }] },
  contents: { files: 3, directories: 1, links: 0, plain_bytes: 8_000_000, problems: 0 },
  references: [{ snapshot_id: newId(), manifest_sha256: sha256, live_bytes: 5 }],
  certificate: issueCertificate(
    {
      workerId,
      publicKey: signing.publicKey,
      notBefore: new Date("2025-12-31"),
      notAfter: new Date("2026-02-01"),
    },
    root.privateKey,
  ),
};
const manifest = signManifest(body, signing.privateKey);
const bytes = manifestBytes(manifest);

const NUDGE = "something that might stand there too";
function nudged(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  return typeof value === "string" ? value.replace(/\d/, (digit) => String((Number(digit) + 1) % 10)) : value;
}

/** The manifest with one member, at whatever depth, exchanged for any JSON. */
const exchanged = fc
  .tuple(
    fc.nat(200),
    fc.oneof(
      fc.constant(NUDGE),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>(-1, 0, 0.5, 2 ** 53, 1e308, "", "\ud800", "2026-13-45T99:00:00Z", "../..", null, [], {}),
    ),
    fc.constantFrom("__proto__", "constructor", "toString", "extra"),
    fc.boolean(),
  )
  .map(([which, value, name, add]) => {
    const places: { object: Record<string, unknown>; key: string }[] = [];
    const copy = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const visit = (object: Record<string, unknown>) => {
      for (const key of Object.keys(object)) {
        places.push({ object, key });
        const inner = object[key];
        if (typeof inner === "object" && inner !== null) visit(inner as Record<string, unknown>);
      }
    };
    visit(copy);
    const place = places[which % places.length];
    if (!place) return bytes;
    const key = add ? name : place.key;
    const put = value === NUDGE ? nudged(place.object[key]) : value;
    Object.defineProperty(place.object, key, { value: put, enumerable: true, configurable: true, writable: true });
    return Buffer.from(JSON.stringify(copy));
  });

test("control: the manifest that is changed is genuine before", () => {
  expect(parseManifest(bytes)).toEqual(manifest);
  expect(() => verifyManifest(parseManifest(bytes), [root.publicKey])).not.toThrow();
});

test("a changed manifest is refused, by its form or by its signature, unless it means the same", async () => {
  const seen = { malformed: 0, forged: 0, same: 0 };
  await fuzz(
    fc.oneof(mutated([bytes]), exchanged),
    async (changed) => {
      const parsed = await orRefused(["ARCHIVE_MALFORMED"], () => parseManifest(changed));
      if (!parsed) {
        seen.malformed += 1;
        return;
      }
      const genuine = await orRefused(["SIGNATURE_INVALID"], () => {
        verifyManifest(parsed, [root.publicKey]);
        return true;
      });
      seen[genuine ? "same" : "forged"] += 1;
      if (genuine) expect(manifestSha256(parsed)).toBe(manifestSha256(manifest));
      else expect(manifestBytes(parsed).equals(bytes)).toBe(false);
    },
    1500,
  );
  expect(Math.min(seen.malformed, seen.forged)).toBeGreaterThan(50);
});

test("a manifest that is made to fill the memory is refused before it does", () => {
  const deep = 500_000;
  const hostile = (list: string) => {
    const text = bytes.toString();
    return [
      text.replace(/"references":\[[^\]]*\]/, () => `"references":${list}`),
      text.replace(/"recipients":\[[^\]]*\]/, () => `"recipients":${list}`),
    ].map((changed) => Buffer.from(changed));
  };
  const before = process.memoryUsage().rss;
  for (const changed of [
    // With a note of what is wrong with each item, these took gigabytes.
    ...hostile(`[${"0,".repeat(7_000_000)}0]`),
    ...hostile(`${"[".repeat(deep)}${"]".repeat(deep)}`),
    ...hostile(`${'{"a":'.repeat(deep)}0${"}".repeat(deep)}`),
    Buffer.alloc(17 * 1024 * 1024, " "),
  ]) {
    expect(() => parseManifest(changed)).toThrow(expect.objectContaining({ code: "ARCHIVE_MALFORMED" }));
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(1024 * 1024 * 1024);
});
