import { spawnSync } from "node:child_process";

const VERSION_OF = {
  ssh: ["ssh", "-V"],
  tar: ["tar", "--version"],
  zstd: ["zstd", "--version"],
  age: ["age", "--version"],
  "age-keygen": ["age-keygen", "--version"],
  rsync: ["rsync", "--version"],
  restic: ["restic", "version"],
  borg: ["borg", "--version"],
  rclone: ["rclone", "version"],
} as const;
export type Program = keyof typeof VERSION_OF;

/** The programs of this comparison: the first version number that each tells, null where it is not installed. */
export function findPrograms(): Record<Program, string | null> {
  const found = Object.entries(VERSION_OF).map(([name, [program, argument]]) => {
    const { error, stdout, stderr } = spawnSync(program, [argument], { encoding: "utf8" });
    return [name, error ? null : (/\d+\.\d+[\w.]*/.exec(stdout || stderr)?.[0] ?? "unknown")] as const;
  });
  return Object.fromEntries(found) as Record<Program, string | null>;
}
