// Loaded into a worker by `node --import` for the crash matrix alone: at the n-th call that changes the file system below the worker's storage, the
// worker dies or the call fails. What is to happen stands in the file that XVAULT_CRASH_ORDERS names; production code knows nothing of it.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import type { FileHandle } from "node:fs/promises";
import type { FileCall, FileOrder } from "./file-order.ts";

const ordersFile = process.env["XVAULT_CRASH_ORDERS"] ?? "";
const root = process.env["XVAULT_STORAGE_PATH"] ?? "";
const promises = fs.promises;
const real = {
  open: promises.open,
  rename: promises.rename,
  unlink: promises.unlink,
  mkdir: promises.mkdir,
  rm: promises.rm,
};

let counted: { id: string; calls: number; kinds: Partial<Record<FileCall, number>> } = {
  id: "",
  calls: 0,
  kinds: {},
};

function order(): FileOrder | null {
  try {
    return JSON.parse(fs.readFileSync(ordersFile, "utf8")) as FileOrder;
  } catch {
    return null;
  }
}

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal is delivered before the next step of this process; nothing may be done meanwhile.
  for (;;);
}

async function step<T>(kind: FileCall, path: unknown, work: () => Promise<T>): Promise<T> {
  const now = String(path).startsWith(root) ? order() : null;
  if (!now?.kinds.includes(kind)) return work();
  if (counted.id !== now.id) counted = { id: now.id, calls: 0, kinds: {} };
  counted.calls += 1;
  counted.kinds[kind] = (counted.kinds[kind] ?? 0) + 1;
  if (now.act === "count") fs.writeFileSync(`${ordersFile}.count`, JSON.stringify(counted.kinds));
  if (counted.calls !== now.nth) return work();
  fs.writeFileSync(`${ordersFile}.done`, `${kind} ${String(path)}`);
  switch (now.act) {
    case "die before":
      return die();
    case "die after":
      await work();
      return die();
    case "EIO":
    case "ENOSPC":
      throw Object.assign(new Error(`${now.act}: by order of the crash matrix, ${kind}`), { code: now.act });
    default:
      return work();
  }
}

function watched(handle: FileHandle, path: unknown): FileHandle {
  const { writev, sync } = handle;
  handle.writev = ((...args: Parameters<typeof writev>) =>
    step("write", path, () => writev.apply(handle, args))) as typeof writev;
  handle.sync = () => step("sync", path, () => sync.call(handle));
  return handle;
}

promises.open = async (...args) => {
  const [path, flags] = args;
  const handle = flags === "wx" ? await step("create", path, () => real.open(...args)) : await real.open(...args);
  return watched(handle, path);
};
promises.rename = (from, to) => step("rename", to, () => real.rename(from, to));
promises.unlink = (path) => step("remove", path, () => real.unlink(path));
promises.mkdir = ((...args: Parameters<typeof real.mkdir>) =>
  step("create", args[0], () => real.mkdir(...args))) as typeof real.mkdir;
promises.rm = (...args) => step("remove", args[0], () => real.rm(...args));
syncBuiltinESMExports();
