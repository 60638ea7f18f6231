// Who calls without being allowed to, by the code that it is answered. All of it is judged before anybody looks at what is asked.
import { createClient } from "@xvault/test-kit/stack";
import type { Operation, Sent } from "./document.ts";
import type { World } from "./fixtures.ts";

type Headers = NonNullable<Sent["headers"]>;

const NOBODY = "00000000-0000-4000-8000-000000000000";
export const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
export const inWorkspace = (token: string, workspace: string): Headers => ({
  ...bearer(token),
  "x-xvault-workspace": workspace,
});

/** For each code the headers of a call that is refused with it. */
export type Callers = Record<string, (operation: Operation) => Headers>;

/** Makes the callers: tokens that lack something, sessions that are over or old. `tokenFor` makes an API token with the scopes given. */
export async function makeCallers(world: World, tokenFor: (scopes: string[]) => Promise<string>): Promise<Callers> {
  const { stack, tenant, stranger, viewer } = world;
  const few = { "audit:read": await tokenFor(["audit:read"]), "jobs:read": await tokenFor(["jobs:read"]) };
  const expired = await tokenFor(["tokens:read"]);
  await stack.sql`
    update api_tokens set expires_at = now() - interval '1 minute'
    where tenant_id = ${tenant.workspaceId} and name = 'tokens:read'`;
  await stack.sql`update sessions set revoked_at = now() where user_id = ${stranger.userId}`;
  const old = await oldSession(world);
  return {
    UNAUTHENTICATED: () => ({}),
    TOKEN_INVALID: () => bearer("xv_nonsense"),
    TOKEN_EXPIRED: () => bearer(expired),
    SESSION_REVOKED: () => inWorkspace(stranger.accessToken, stranger.workspaceId),
    SCOPE_MISSING: ({ scope }) => bearer(scope === "audit:read" ? few["jobs:read"] : few["audit:read"]),
    FORBIDDEN: () => inWorkspace(viewer.accessToken, tenant.workspaceId),
    REAUTH_REQUIRED: () => inWorkspace(old, tenant.workspaceId),
    ORIGIN_DENIED: () => ({ ...bearer(tenant.token), origin: "https://evil.example", cookie: "xvault_refresh=x" }),
    NOT_FOUND: () => inWorkspace(tenant.accessToken, NOBODY),
  };
}

/** An access token of the tenant's whose password was given an hour ago. */
async function oldSession({ stack, tenant }: World): Promise<string> {
  const { email, password } = tenant;
  const answer = await createClient(stack.url).send("POST", "/trpc/auth.signIn", { email, password });
  const cookie = /xvault_refresh=[^;]+/.exec(answer.headers.get("set-cookie") ?? "")?.[0] ?? "";
  // The newest session of the person is the one that has just begun.
  await stack.sql`
    update sessions set created_at = created_at - interval '1 hour' where id =
      (select id from sessions where user_id = ${tenant.userId} order by created_at desc limit 1)`;
  const renewed = await fetch(`${stack.url}/trpc/auth.refresh`, {
    method: "POST",
    headers: { cookie, "content-type": "application/json" },
    body: "{}",
  });
  const { result } = (await renewed.json()) as { result: { data: { access_token: string } } };
  return result.data.access_token;
}
