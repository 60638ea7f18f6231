import { XVaultError } from "@xvault/kernel";

/** A place in a list that is ordered by time and id, newest first. Opaque to callers. */
export interface Cursor {
  at: Date;
  id: string;
}

function encodeCursor(cursor: Cursor): string {
  return Buffer.from(`${cursor.at.toISOString()} ${cursor.id}`).toString("base64url");
}

export function decodeCursor(text: string): Cursor {
  const [at, id] = Buffer.from(text, "base64url").toString("utf8").split(" ");
  const time = new Date(at ?? "");
  if (!id || !/^[0-9a-f-]{36}$/.test(id) || Number.isNaN(time.getTime())) {
    throw new XVaultError("INPUT_INVALID", "The cursor is not one that xVault gave out.");
  }
  return { at: time, id };
}

/** Cuts a page out of `limit + 1` rows. */
export function toPage<Row, Item>(
  rows: Row[],
  limit: number,
  item: (row: Row) => Item,
  cursor: (row: Row) => Cursor,
): { items: Item[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(item),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(cursor(last)) : null,
  };
}
