import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Makes the small server that the demo backs up: the five mock files of the validation set, and what real trees have besides. */
export async function makeSampleTree(fixtures: string, tree: string): Promise<void> {
  if (existsSync(join(tree, "mock-data", "MANIFEST.json"))) return;
  await mkdir(join(tree, "var/www/site/assets"), { recursive: true });
  await mkdir(join(tree, "var/empty"), { recursive: true });
  await cp(fixtures, join(tree, "mock-data"), { recursive: true });
  await writeFile(
    join(tree, "var/www/site/index.html"),
    "<!doctype html>\n<title>Demo</title>\n<h1>A small site</h1>\n",
  );
  await writeFile(join(tree, "var/www/site/naïve café ☕.txt"), "Names keep their bytes.\n");
  // Compressible and not, so that the shown sizes mean something.
  const line = '2026-01-01T00:00:00Z GET /index.html 200 1532 "a perfectly ordinary browser"\n';
  await writeFile(join(tree, "var/www/site/access.log"), line.repeat(20_000));
  const noise = Buffer.alloc(1024 * 1024);
  for (let i = 0, state = 42; i < noise.length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    noise[i] = state >>> 24;
  }
  await writeFile(join(tree, "var/www/site/assets/photo.bin"), noise);
  await symlink("index.html", join(tree, "var/www/site/home.html"));
}
