// Fails when `drizzle-kit generate` would write a migration: the schema in TypeScript and the migrations must tell of one database.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
mkdirSync(join(root, "dist"), { recursive: true });
const scratch = mkdtempSync(join(root, "dist", "drift-"));

try {
  cpSync(join(root, "migrations"), scratch, { recursive: true });
  const before = new Set(readdirSync(scratch));
  const { status, stdout, stderr } = spawnSync(
    "drizzle-kit",
    [
      "generate",
      "--dialect",
      "postgresql",
      "--schema",
      "src/schema/index.ts",
      "--out",
      relative(root, scratch),
      "--name",
      "drift",
    ],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 },
  );
  const made = readdirSync(scratch).filter((name) => !before.has(name));
  // Asked whether a column was renamed, it writes nothing and still ends well: only its own words mean that nothing changed.
  if (status !== 0 || made.length > 0 || !stdout.includes("No schema changes")) {
    const sql = made.map((name) => readFileSync(join(scratch, name), "utf8")).join("\n");
    process.stderr.write(
      `The schema has changed without a migration. Run: npm run generate -w @xvault/db\n\n${sql || stdout + stderr}\n`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
