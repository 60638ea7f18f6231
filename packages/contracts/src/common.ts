import { ERROR_CODES } from "@xvault/kernel";
import { z } from "zod";

/** A lower-case UUID, as every id of ours is. */
export const idSchema = z.uuid();
/** An id as the edge seeds allow it: any text of 1 to 256 characters. Never part of a path on storage. */
export const externalIdSchema = z.string().min(1).max(256);
/** ISO 8601 with a zone, as text. */
export const timeSchema = z.iso.datetime({ offset: true });
export const nameSchema = z.string().trim().min(1).max(120);

/** A page of a list. `next_cursor` is opaque: hand it back as `cursor` for the next page; null at the end. */
export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}

export const pageInputSchema = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional(),
});

/** What a person gets to see of an error: stable code, cause, fix, request id. */
export const errorReportSchema = z.object({
  code: z.enum(Object.keys(ERROR_CODES) as [keyof typeof ERROR_CODES, ...(keyof typeof ERROR_CODES)[]]),
  message: z.string(),
  fix: z.string(),
  retry: z.boolean(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  requestId: z.string().optional(),
});
export type ErrorReportMessage = z.infer<typeof errorReportSchema>;

/** The roles of a workspace, strongest first. An operator runs backups, but neither restores nor downloads. */
export const roleSchema = z.enum(["owner", "admin", "operator", "viewer"]);
export type Role = z.infer<typeof roleSchema>;

/** Who holds the restore key of a workspace. */
export const keyModeSchema = z.enum(["platform", "customer"]);
export type KeyMode = z.infer<typeof keyModeSchema>;

/**
 * A path inside a snapshot as the API carries it: '/' and the entry's path, e.g. '/etc/hosts'; a path that is not
 * UTF-8 as 'b64:' and the base64 of its bytes without the leading '/'.
 */
export const snapshotPathSchema = z
  .string()
  .min(1)
  .max(20_000)
  .refine((path) => path.startsWith("/") || path.startsWith("b64:"), "begin with '/' or 'b64:'");

/** The bytes of an entry's path, from the form that the API carries. */
export function pathFromApi(path: string): Buffer {
  if (path.startsWith("b64:")) return Buffer.from(path.slice(4), "base64");
  return Buffer.from(path.replace(/^\/+/, "").replace(/\/+$/, ""), "utf8");
}

/** The form that the API carries, from the bytes of an entry's path. */
export function pathToApi(path: Buffer): string {
  const text = path.toString("utf8");
  return Buffer.from(text, "utf8").equals(path) ? `/${text}` : `b64:${path.toString("base64")}`;
}
