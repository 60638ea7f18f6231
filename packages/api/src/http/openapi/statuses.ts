import { ERROR_CODES, type ErrorCode } from "@xvault/kernel";
import type { RestRoute } from "../rest-routes.ts";
import type { ErrorsByStatus } from "./types.ts";

/** What can be answered by a call for a reason that has nothing to do with what it does. */
const EVERYWHERE: ErrorCode[] = ["RATE_LIMITED", "ORIGIN_DENIED"];

const WITHOUT_LEAVE = ["UNAUTHENTICATED", "TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_REVOKED"] as const;
const BY_KEY = ["CONFLICT", "IDEMPOTENCY_KEY_REUSED"] as const;

/**
 * Every error that a route answers by what it is asked: what follows from its kind, and what it names itself. `takesInput`: whether it has
 * parameters or a body. What may go wrong inside xVault belongs to no route: see `otherProblem`.
 */
export function errorsOf(route: RestRoute, takesInput: boolean): ErrorsByStatus {
  const { guard, method } = route;
  const changes = method !== "GET";
  const codes = new Set<ErrorCode>(EVERYWHERE);
  // The body of a call that changes something is read, also where none is wanted; that of one that reads is not.
  if (takesInput || changes) codes.add("INPUT_INVALID");
  if (changes) codes.add("BODY_TOO_LARGE");
  if (guard) for (const code of WITHOUT_LEAVE) codes.add(code);
  if (guard && guard.scope !== "any" && !guard.platform) codes.add("SCOPE_MISSING");
  if (guard?.role && guard.role !== "viewer") codes.add("FORBIDDEN");
  if (guard?.confirmed) codes.add("REAUTH_REQUIRED");
  // The workspace that is named, too, may be none of the caller's.
  if (guard?.role || guard?.platform || route.path.includes("{")) codes.add("NOT_FOUND");
  if (takesIdempotencyKey(route)) for (const code of BY_KEY) codes.add(code);
  for (const code of route.errors) codes.add(code);

  const byStatus: ErrorsByStatus = new Map();
  for (const code of [...codes].toSorted((a, b) => ERROR_CODES[a].status - ERROR_CODES[b].status)) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

/** Keys belong to a caller in a workspace, so calls without one take none. */
export function takesIdempotencyKey({ method, guard }: RestRoute): boolean {
  return method === "POST" && guard?.role != null;
}
