import { XVaultError } from "@xvault/kernel";
import type { Request, Response } from "express";
import type { RefreshCookie } from "../context.ts";

/** The refresh cookie's name; over TLS with the prefix by which browsers insist on `Secure`. */
export function refreshCookieName(baseUrl: string): string {
  return baseUrl.startsWith("https:") ? "__Secure-xvault_refresh" : "xvault_refresh";
}

/** The refresh token in its HttpOnly, SameSite=Strict cookie, which browsers send to `/trpc` alone. */
export function refreshCookie(req: Request, res: Response, baseUrl: string): RefreshCookie {
  const name = refreshCookieName(baseUrl);
  const options = {
    httpOnly: true,
    sameSite: "strict",
    path: "/trpc",
    secure: baseUrl.startsWith("https:"),
  } as const;
  const checkNotSent = () => {
    // A streamed batch sends its headers before the calls have run.
    if (res.headersSent) throw new XVaultError("INPUT_INVALID", "Calls that sign in or out cannot be streamed.");
  };
  return {
    read: () => readCookie(req.get("cookie") ?? "", name),
    write(token, expiresAt) {
      checkNotSent();
      res.cookie(name, token, { ...options, expires: expiresAt });
    },
    clear() {
      checkNotSent();
      res.clearCookie(name, options);
    },
  };
}

/** For callers who have no cookies: programs on the REST API. */
export const noCookie: RefreshCookie = { read: () => undefined, write: () => {}, clear: () => {} };

function readCookie(header: string, name: string): string | undefined {
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
