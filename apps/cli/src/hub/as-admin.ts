import { errorReportSchema, sessionSchema } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { z } from "zod";
import { askSecret, askText, readStdin } from "../ask.ts";
import { UsageError } from "../exit-codes.ts";
import type { World } from "../world.ts";
import { type HubApi, hubApi } from "./api.ts";
import { createHubClient, DEFAULT_URL, hubUrl } from "./client.ts";
import { notOurs, unreachable } from "./http.ts";
import { loadLogin } from "./saved-login.ts";

/** What commands for platform admins take beside their own arguments. */
export const ADMIN_ARGS = {
  email: {
    type: "string",
    description: "E-mail address of the platform admin (default: that of the sign-in; else asked)",
  },
  "password-stdin": { type: "boolean", description: "Read the password from standard input; asked for otherwise" },
} as const;

/**
 * Works as a platform admin: signed in with the password for this one command, since no API token may act for the platform, and signed out after it.
 *
 * @throws CREDENTIALS_INVALID; UsageError where nobody can be asked
 */
export async function asAdmin<T>(
  world: World,
  args: { email: string | undefined; "password-stdin": boolean | undefined },
  signal: AbortSignal,
  work: (api: HubApi) => Promise<T>,
): Promise<T> {
  const saved = await loadLogin(world.environment.configFile).catch(() => null);
  const url = hubUrl(world.environment.url ?? saved?.url ?? DEFAULT_URL);
  const email =
    args.email ?? saved?.email ?? (await askText({ world, unasked: new UsageError("--email is missing.") }, "E-mail"));
  const unasked = new UsageError("Pipe the password in with --password-stdin.");
  const password = args["password-stdin"]
    ? await readStdin(world, "password")
    : await askSecret({ world, unasked }, `Password of ${email}`);
  const { token, cookie } = await signIn(url, { email, password }, signal);
  try {
    return await work(hubApi(createHubClient(url, token, signal)));
  } finally {
    // The work is done either way; a session that could not be ended ends by itself.
    await call(url, "auth.signOut", {}, { cookie }, AbortSignal.timeout(10_000)).catch(() => {});
  }
}

const refused = z.object({ error: z.object({ data: z.object({ report: errorReportSchema }) }) });
const signedIn = z.object({ result: z.object({ data: sessionSchema.pick({ access_token: true }) }) });

async function signIn(
  url: string,
  who: { email: string; password: string },
  signal: AbortSignal,
): Promise<{ token: string; cookie: string }> {
  const response = await call(url, "auth.signIn", who, {}, signal);
  const { result } = signedIn.parse(await response.json());
  const cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  return { token: result.data.access_token, cookie };
}

/** Sessions are the dashboard's, so they are begun and ended as it does it. */
async function call(
  url: string,
  procedure: string,
  input: object,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  const peer = { role: "hub", url };
  try {
    const response = await fetch(`${url}/trpc/${procedure}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(input),
      redirect: "manual",
      signal,
    });
    if (response.ok) return response;
    const refusal = refused.safeParse(await response.json().catch(() => null));
    if (!refusal.success) throw notOurs(peer, response.status);
    const { code, message, fix, retry } = refusal.data.error.data.report;
    throw new XVaultError(code, message, { fix, retry });
  } catch (error) {
    throw unreachable(error, peer, signal);
  }
}
