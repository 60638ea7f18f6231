import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf, pattern, put } from "./conformance.suite.ts";
import { openLocalStore } from "./local-fs.ts";

const MiB = 1024 * 1024;
const place = mkdtempSync(join(tmpdir(), "xvault-full-"));
const refused = mountTmpfs(place);

/** Mounts 4 MiB of memory; gives why that was not possible, or ''. */
function mountTmpfs(path: string): string {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path], { stdio: ["ignore", "ignore", "pipe"] });
    return "";
  } catch {
    return "a tmpfs cannot be mounted here";
  }
}

afterAll(() => {
  if (!refused) execFileSync("umount", [place]);
  rmSync(place, { recursive: true, force: true });
});

describe.skipIf(refused !== "")(`a disk that is really full${refused && ` (skipped: ${refused})`}`, () => {
  test("is told as SPACE_REQUIRED, leaves nothing half-written, and the next object fits", async () => {
    const store = await openLocalStore({ root: join(place, "root") });
    await put(store, "t/kept", pattern(MiB));
    expect(await store.freeBytes()).toBeLessThan(4 * MiB);

    const writer = await store.create("t/too-large");
    const fill = async () => {
      for (let at = 0; at < 64; at += 1) await writer.write(pattern(128 * 1024 + 1, at));
      await writer.commit();
    };
    expect(await codeOf(fill())).toBe("SPACE_REQUIRED");
    await writer.abort();

    expect(readdirSync(join(place, "root/t"))).toEqual(["kept"]);
    expect((await store.readAll("t/kept", MiB)).equals(pattern(MiB))).toBe(true);
    await put(store, "t/small", pattern(2 * MiB));
    expect(await store.stat("t/small")).toEqual({ sizeBytes: 2 * MiB });
  });
});
