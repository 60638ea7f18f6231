import { XVaultError } from "@xvault/kernel";
import { UsageError } from "../exit-codes.ts";

/** A snapshot as people name it, and a path in it. */
export interface SnapshotRef {
  /** 'latest', or an id or its ending. */
  name: { kind: "latest"; source: string | null } | { kind: "id"; ending: string };
  /** As the API carries it: begins with '/' or 'b64:'. '/' for everything. */
  path: string;
}

/**
 * Reads `SNAPSHOT[:/path]`: SNAPSHOT is an id, at least four digits of an id's ending, `latest`, or `latest@SOURCE`.
 *
 * @throws UsageError
 */
export function parseSnapshotRef(text: string): SnapshotRef {
  const colon = text.search(/:(?=\/|b64:|$)/);
  const name = colon < 0 ? text : text.slice(0, colon);
  const path = colon < 0 ? "/" : text.slice(colon + 1) || "/";
  if (name === "latest") return { name: { kind: "latest", source: null }, path };
  if (name.startsWith("latest@")) {
    const source = name.slice("latest@".length);
    if (source === "") throw new UsageError("After 'latest@' comes the name or id of a source.");
    return { name: { kind: "latest", source }, path };
  }
  const ending = name.toLowerCase();
  if (!/^[0-9a-f][0-9a-f-]{3,35}$/.test(ending)) {
    throw new UsageError(`'${name}' names no snapshot: give an id, its last 8 digits, 'latest' or 'latest@SOURCE'.`);
  }
  return { name: { kind: "id", ending }, path };
}

/** A path given beside the snapshot (`--include`), in the API's form. @throws UsageError */
export function parseInnerPath(text: string): string {
  if (text.startsWith("/") || text.startsWith("b64:")) return text;
  throw new UsageError(`'${text}' is no path in a snapshot: it begins with '/'.`);
}

/** The one thing that `name` stands for: by id, by name, or by the last digits of its id. */
export function findByName<T>(
  things: readonly T[],
  name: string,
  of: { kind: string; list: string; ids(thing: T): string[]; name(thing: T): string },
): T {
  const only = (found: T[]): T | undefined => {
    if (found.length > 1) {
      throw new XVaultError("INPUT_INVALID", `More than one ${of.kind} is meant by '${name}'.`, {
        fix: `Give the id of one: ${found.map((thing) => of.ids(thing)[0]).join(", ")}.`,
      });
    }
    return found[0];
  };
  const byId = things.filter((thing) => of.ids(thing).includes(name));
  const found =
    byId[0] ??
    only(things.filter((thing) => of.name(thing) === name)) ??
    (/^[0-9a-f-]{4,}$/.test(name) ? only(things.filter((thing) => of.ids(thing)[0]?.endsWith(name))) : undefined);
  if (found) return found;
  throw new XVaultError("NOT_FOUND", `There is no ${of.kind} '${name}'.`, {
    fix: `List what there is: ${of.list}.`,
  });
}
