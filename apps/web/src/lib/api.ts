import { createTRPCClient, httpBatchLink, httpSubscriptionLink, splitLink, type TRPCLink } from "@trpc/client";
import { observable, type Unsubscribable } from "@trpc/server/observable";
import type { AppRouter } from "@xvault/api";
import type { Session } from "@xvault/contracts";
import { EventSource, type FetchLike } from "eventsource";
import { accessHeaders, hasAccess, setAccess } from "./access.ts";
import { reportOf } from "./errors.ts";
import { askForPassword } from "./password-prompt.ts";

const URL_PATH = "/trpc";
/** The hub refuses larger batches. */
const MAX_BATCH = 10;
/** Calls that make or end a session: their failures are answers, not signs of an old token. */
const SESSION_CALLS = new Set(["auth.refresh", "auth.signIn", "auth.signUp", "auth.signOut"]);

const batch = httpBatchLink({ url: URL_PATH, maxItems: MAX_BATCH, headers: accessHeaders });
/** Speaks without the repairs below, for the calls that these repairs make. */
const plain = createTRPCClient<AppRouter>({ links: [batch] });

/** Two tabs that refresh at once would look like a stolen token: the browser lets one go after the other, where it can. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  // The lib's types promise Web Locks everywhere; over plain HTTP to another machine they are missing.
  const locks = navigator.locks as LockManager | undefined;
  return locks ? locks.request("xvault-refresh", work) : work();
}

let refreshing: Promise<Session> | null = null;

/** Trades the refresh cookie for a new access token. Calls made at the same time share one answer. @throws SESSION_REVOKED */
export function refreshSession(): Promise<Session> {
  refreshing ??= alone(() => plain.auth.refresh.mutate())
    .then((session) => {
      setAccess(session);
      return session;
    })
    .catch((error: unknown) => {
      // A hub that is away ends no session.
      if (!reportOf(error).retry) setAccess(null);
      throw error;
    })
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

/** Asks for the password in the page's dialog and gets a token that carries the confirmation. Rejects when it was not given. */
export async function confirmPassword(): Promise<void> {
  await askForPassword(async (password) => setAccess(await api.auth.confirm.mutate({ password })));
}

/**
 * Repairs what can be repaired without the caller: an expired token is renewed, a wanted password asked for, once each. Where the session
 * itself has ended, the renewal fails, and that ends it in this tab too.
 */
const repairing: TRPCLink<AppRouter> = () => {
  return ({ next, op }) =>
    observable((observer) => {
      const tried = new Set<string>();
      let inner: Unsubscribable | null = null;
      const repair = (code: string): Promise<unknown> | null => {
        // After signing out an answer that was still on its way is no reason to ask for a session.
        if (SESSION_CALLS.has(op.path) || !hasAccess()) return null;
        const way =
          code === "TOKEN_EXPIRED" || code === "UNAUTHENTICATED" || code === "SESSION_REVOKED"
            ? refreshSession
            : code === "REAUTH_REQUIRED"
              ? confirmPassword
              : null;
        if (!way || tried.has(code)) return null;
        tried.add(code);
        return way();
      };
      const attempt = () => {
        inner = next(op).subscribe({
          next: (value) => observer.next(value),
          complete: () => observer.complete(),
          error(error) {
            const repaired = repair(reportOf(error).code);
            if (!repaired) return observer.error(error);
            repaired.then(attempt, () => observer.error(error));
          },
        });
      };
      attempt();
      return () => inner?.unsubscribe();
    });
};

/** An event stream with our headers, which the browser's own EventSource cannot send. */
const streamFetch: FetchLike = async (url, init) => {
  const open = () => fetch(url, { ...init, headers: { ...init.headers, ...accessHeaders() } });
  const response = await open();
  if (response.status !== 401) return response;
  await refreshSession();
  return open();
};

/** The hub's whole API, typed by its own router. */
export const api = createTRPCClient<AppRouter>({
  links: [
    splitLink({
      condition: (op) => op.type === "subscription",
      true: httpSubscriptionLink({ url: URL_PATH, EventSource, eventSourceOptions: { fetch: streamFetch } }),
      false: [repairing, batch],
    }),
  ],
});
