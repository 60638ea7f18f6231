import { XVaultError } from "@xvault/kernel";

/** The one byte range that a `Range` header asks for, as [start, end); null for all. Several ranges are not served. */
export function parseRange(header: string | undefined, size: number): [number, number] | null {
  if (header === undefined) return null;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  const [, from = "", to = ""] = match ?? [];
  if (!match || (from === "" && to === ""))
    throw new XVaultError("INPUT_INVALID", "The Range header is not one that is served here.");
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  if (start >= end) throw new XVaultError("INPUT_INVALID", "The range lies outside the object.");
  return [start, end];
}
