import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * SIGKILL to a process that the tests have started and to all its descendants, by their ids; resolves when they are gone. The process is stopped
 * before it is looked at, so that it starts no more of them.
 */
export async function killFamily(pid: number): Promise<void> {
  if (!signal(pid, "SIGSTOP")) return;
  const family = [pid, ...descendants(pid)];
  for (const member of family) signal(member, "SIGKILL");
  while (family.some(isAlive)) await sleep(10);
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function descendants(pid: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: statOf(name)?.parent }));
  const below = (of: number): number[] =>
    parents.filter(({ parent }) => parent === of).flatMap((child) => [child.pid, ...below(child.pid)]);
  return below(pid);
}

/** Of a process that is there. A zombie is gone: only its parent has not asked yet. */
function isAlive(pid: number): boolean {
  const stat = statOf(String(pid));
  return stat !== null && stat.state !== "Z";
}

function statOf(pid: string): { state: string; parent: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, in parentheses, may hold anything.
    const [state = "", parent = ""] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}
