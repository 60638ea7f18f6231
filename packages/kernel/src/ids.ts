import { randomUUID } from "./random.ts";

declare const brand: unique symbol;

/** A string that is known to be the identifier of one kind of thing. */
export type Id<Kind extends string> = string & { readonly [brand]: Kind };

export type TenantId = Id<"tenant">;
export type UserId = Id<"user">;
export type SourceId = Id<"source">;
export type ScheduleId = Id<"schedule">;
export type JobId = Id<"job">;
export type SnapshotId = Id<"snapshot">;
export type WorkerId = Id<"worker">;
export type KeyId = Id<"key">;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for a lower-case UUID, the only form in which ids appear in paths, keys and URLs. */
export function isId(value: string): boolean {
  return UUID.test(value);
}

/** Mints a UUID of version 7 (RFC 9562): ids made later sort later. */
export function newId<I extends string>(now: number = Date.now()): I {
  const time = now.toString(16).padStart(12, "0");
  const rest = randomUUID();
  const variant = rest.slice(19, 23);
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${rest.slice(15, 18)}-${variant}-${rest.slice(24)}` as I;
}

/** The eight hex digits by which people name a snapshot or a job: the random tail, since heads of ids made together agree. */
export function shortId(id: string): string {
  return id.slice(-8);
}
