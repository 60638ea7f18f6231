import { accessHeaders } from "../../lib/access.ts";
import { confirmPassword, refreshSession } from "../../lib/api.ts";
import type { ApiRequest } from "./request.ts";

export interface ApiAnswer {
  status: number;
  milliseconds: number;
  headers: [name: string, value: string][];
  body: string;
}

const REPAIRS: Record<string, () => Promise<unknown>> = {
  TOKEN_EXPIRED: refreshSession,
  SESSION_REVOKED: refreshSession,
  REAUTH_REQUIRED: confirmPassword,
};

/** Sends a request with the token given, or else with this tab's session, which is renewed and confirmed where that is wanted, once each. */
export async function sendRequest(request: ApiRequest, token: string): Promise<ApiAnswer> {
  const tried = new Set<string>();
  for (;;) {
    const begun = performance.now();
    const who = token === "" ? accessHeaders() : { authorization: `Bearer ${token}` };
    const response = await fetch(request.url, {
      method: request.method,
      headers: { ...request.headers, ...who },
      ...(request.body === null ? {} : { body: request.body }),
    });
    const body = await response.text();
    const code = /"code":"([A-Z_]+)"/.exec(body)?.[1] ?? "";
    const repair = token === "" && response.status >= 400 && !tried.has(code) ? REPAIRS[code] : undefined;
    if (!repair) {
      const milliseconds = Math.round(performance.now() - begun);
      return { status: response.status, milliseconds, headers: [...response.headers], body };
    }
    tried.add(code);
    await repair();
  }
}
