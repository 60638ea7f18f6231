import { type IndexChild, listDirectory } from "@xvault/archive";
import { pathFromApi, pathToApi, type Tree, type TreeEntry } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";
import { command, JSON_ARG } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { readIdentityFile } from "../local/identity.ts";
import { openRemotely } from "../local/open-remotely.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";
import { table } from "../output.ts";
import { refuseCustomerHeld } from "./customer-held.ts";
import { treeAt } from "./tree.ts";

export const lsCommand = command({
  name: "ls",
  description: "List what a snapshot holds at a path.",
  args: {
    snapshot: {
      type: "positional",
      description: "SNAPSHOT[:/path]: an id, its last digits, 'latest' or 'latest@SOURCE'",
    },
    long: { type: "boolean", alias: "l", description: "With mode, size and time" },
    identity: {
      type: "string",
      valueHint: "file",
      description: "Read the listing here with this identity; it never leaves this machine",
    },
    ...JSON_ARG,
  },
  examples: ["xvault ls latest", "xvault ls latest@web-01:/etc -l", "xvault ls 1a2b3c4d:/srv --identity key.txt"],
  async act({ args, world, output, signal }) {
    const ref = parseSnapshotRef(args.snapshot);
    const api = hubApi(await openHub(world, signal));
    const snapshot = await findSnapshot(api, ref);
    let tree: Tree;
    if (args.identity === undefined) {
      refuseCustomerHeld(snapshot, `xvault ls ${snapshot.short_id} --identity FILE`);
      tree = await treeAt(await api.browseTicket(snapshot.id), ref.path, signal);
    } else {
      const { artifact } = await openRemotely(api, snapshot.id, await readIdentityFile(args.identity), signal);
      tree = await localTree(artifact.entries(), ref.path);
    }
    for (const entry of tree.entries) {
      output.message("node", entry);
      if (!args.long) output.line(entry.type === "dir" ? `${nameOf(entry)}/` : nameOf(entry));
    }
    if (args.long && tree.entries.length > 0)
      output.line(table(["MODE", "SIZE", "MODIFIED", "NAME"], tree.entries.map(longRow), [1]));
    if (tree.truncated) output.warn("There is more here than is listed.");
    return EXIT.ok;
  },
});

/** The same listing as a worker makes, from an index that was decrypted here. */
async function localTree(entries: Parameters<typeof listDirectory>[0], path: string): Promise<Tree> {
  const bytes = pathFromApi(path);
  const { self, children } = await listDirectory(entries, bytes);
  if (self && self.type !== "dir") {
    const slash = bytes.lastIndexOf("/");
    const only = { name: bytes.subarray(slash + 1), type: self.type, entry: self, size: self.size, count: 0, files: 0 };
    return { path, entries: [treeEntry(bytes.subarray(0, Math.max(0, slash)), only)], truncated: false };
  }
  return { path, entries: children.map((child) => treeEntry(bytes, child)), truncated: false };
}

function treeEntry(parent: Buffer, child: IndexChild): TreeEntry {
  const { entry, name, type, size, files } = child;
  const path = parent.length === 0 ? name : Buffer.concat([parent, Buffer.from("/"), name]);
  return {
    path: pathToApi(path),
    name: name.toString("utf8"),
    type,
    size,
    ...(type === "dir" ? { files } : {}),
    mode: entry ? Number.parseInt(entry.mode, 8) : null,
    mtime: entry ? timeOf(Number(entry.mtime) * 1000) : null,
    ...(entry?.sha256 === undefined ? {} : { sha256: entry.sha256 }),
    ...(entry?.link === undefined ? {} : { link: entry.link }),
    ...(entry?.problem === undefined ? {} : { problem: entry.problem }),
  };
}

/** Times beyond what a Date can hold exist on disks; they are not shown. */
function timeOf(ms: number): string | null {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null;
}

function nameOf(entry: TreeEntry): string {
  return entry.link === undefined ? entry.name : `${entry.name} -> ${entry.link}`;
}

const KIND = { file: "-", dir: "d", symlink: "l", hardlink: "h" } as const;

function longRow(entry: TreeEntry): string[] {
  return [
    `${KIND[entry.type]}${entry.mode === null ? "?????????" : modeText(entry.mode)}`,
    formatBytes(entry.size),
    entry.mtime ?? "",
    `${nameOf(entry)}${entry.type === "dir" ? "/" : ""}${entry.problem ? `  (${entry.problem})` : ""}`,
  ];
}

/** Permission bits as ls writes them, set-id and sticky bits included. */
function modeText(mode: number): string {
  return [
    [6, 0o4000, "s"],
    [3, 0o2000, "s"],
    [0, 0o1000, "t"],
  ]
    .map(([shift, special, letter]) => {
      const bits = (mode >> Number(shift)) & 7;
      const runs = (bits & 1) !== 0;
      const last =
        (mode & Number(special)) === 0 ? (runs ? "x" : "-") : runs ? String(letter) : String(letter).toUpperCase();
      return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${last}`;
    })
    .join("");
}
