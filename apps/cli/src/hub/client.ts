import { XVaultError } from "@xvault/kernel";
import type { ZodType } from "zod";
import type { World } from "../world.ts";
import { failureOf, notOurs, unreachable } from "./http.ts";
import { loadLogin } from "./saved-login.ts";

/** Where the hub is when nobody says otherwise: a single-machine start. */
export const DEFAULT_URL = "http://localhost:8420";

/** The hub may put a question to a server and wait for it a minute. Milliseconds. */
const PATIENCE = 90_000;

export interface HubRequest<T> {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/api/v1`, path parameters filled in by {@link at}. */
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: object;
  answer: ZodType<T>;
}

/** Speaks the public REST API of one hub. */
export interface HubClient {
  readonly url: string;
  /** @throws whatever the hub refuses, as it words it; UNAVAILABLE when it cannot be reached or is no hub; CANCELLED. */
  send<T>(request: HubRequest<T>): Promise<T>;
}

/** A path with its parameters escaped: at`/jobs/${id}`. */
export function at(strings: TemplateStringsArray, ...values: string[]): string {
  return String.raw({ raw: strings }, ...values.map((value) => encodeURIComponent(value)));
}

export function createHubClient(url: string, token: string | undefined, signal?: AbortSignal): HubClient {
  const peer = { role: "hub", url };
  return {
    url,
    async send(request) {
      const target = new URL(`${url}/api/v1${request.path}`);
      for (const [name, value] of Object.entries(request.query ?? {})) {
        if (value !== undefined) target.searchParams.set(name, String(value));
      }
      const timeout = AbortSignal.timeout(PATIENCE);
      let response: Response;
      let text: string;
      try {
        response = await fetch(target, {
          method: request.method,
          headers: {
            accept: "application/json",
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(request.body ? { "content-type": "application/json" } : {}),
          },
          redirect: "manual",
          signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
          ...(request.body ? { body: JSON.stringify(request.body) } : {}),
        });
        if (!response.ok) throw await failureOf(response, peer);
        text = await response.text();
      } catch (error) {
        throw unreachable(error, peer, signal);
      }
      const parsed = request.answer.safeParse(jsonOrNull(text));
      if (parsed.success) return parsed.data;
      // A hub of another version, or a proxy's own page with status 200.
      throw Object.assign(notOurs(peer, response.status), { cause: parsed.error });
    },
  };
}

/**
 * The hub that the user is signed in to. What the environment says wins over the file; a token that was kept is only ever sent to
 * the hub that gave it.
 *
 * @throws UNAUTHENTICATED when there is no token.
 */
export async function openHub(world: World, signal?: AbortSignal): Promise<HubClient> {
  const { environment } = world;
  const saved = environment.url && environment.token ? null : await loadLogin(environment.configFile);
  const url = hubUrl(environment.url ?? saved?.url ?? DEFAULT_URL);
  const token = environment.token ?? (saved && saved.url === url ? saved.token : undefined);
  if (token === undefined) {
    throw new XVaultError("UNAUTHENTICATED", `You are not signed in to ${url}.`, {
      fix: `Sign in with 'xvault login --url ${url}', or set XVAULT_TOKEN.`,
    });
  }
  return createHubClient(url, token, signal);
}

/** The hub that the user deals with, as a stranger: for what needs no token. Null when none was ever named. */
export async function openHubUnsigned(world: World, signal?: AbortSignal): Promise<HubClient | null> {
  const { environment } = world;
  const url = environment.url ?? (await loadLogin(environment.configFile))?.url;
  return url === undefined ? null : createHubClient(hubUrl(url), undefined, signal);
}

/** An address of a hub in its one form: without a path's end slash. @throws CONFIG_INVALID */
export function hubUrl(text: string): string {
  const parsed = URL.canParse(text) ? new URL(text) : null;
  if (!parsed || !["http:", "https:"].includes(parsed.protocol) || parsed.username !== "" || parsed.password !== "") {
    throw new XVaultError("CONFIG_INVALID", "The hub's address is not valid.", {
      fix: "Give it as https://host or http://host:port.",
    });
  }
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, "");
}

/** True for an address over which a token would travel in the clear to another machine. */
export function isExposed(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
