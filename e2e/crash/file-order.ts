import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Calls that change files. */
export const FILE_CALLS = ["create", "write", "sync", "rename", "remove"] as const;
export type FileCall = (typeof FILE_CALLS)[number];

/** What is to happen at the `nth` of the calls of these kinds, counted from when the order is given. */
export interface FileOrder {
  id: string;
  kinds: readonly FileCall[];
  nth: number;
  act: "die before" | "die after" | "EIO" | "ENOSPC" | "count";
}

/** The file by which a running worker is told, and tells what it has done. */
export interface Orders {
  path: string;
  give(order: Omit<FileOrder, "id">): void;
  takeBack(): void;
  /** At which call it was carried out; empty while it was not. */
  done(): string;
  /** Calls so far of each kind, where they are to be counted. */
  counts(): Partial<Record<FileCall, number>>;
}

export function openOrders(path: string): Orders {
  let given = 0;
  const text = (name: string) => (existsSync(name) ? readFileSync(name, "utf8") : "");
  const takeBack = () => {
    for (const name of [path, `${path}.done`, `${path}.count`]) rmSync(name, { force: true });
  };
  return {
    path,
    give(order) {
      takeBack();
      given += 1;
      writeFileSync(path, JSON.stringify({ id: String(given), ...order }));
    },
    takeBack,
    done: () => text(`${path}.done`),
    counts: () => JSON.parse(text(`${path}.count`) || "{}") as Partial<Record<FileCall, number>>,
  };
}
