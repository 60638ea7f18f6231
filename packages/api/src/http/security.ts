import { XVaultError } from "@xvault/kernel";
import type { Request, RequestHandler } from "express";
import helmet from "helmet";
import { isIP } from "node:net";

/**
 * Security headers. Scripts come from here alone, connections go here and to the workers' data listeners, nobody may frame the page.
 * `style-src` allows inline styles because Nuxt UI writes its theme colours into a style element at run time.
 *
 * @param dataOrigins asked at every answer, since workers come and go.
 */
export function securityHeaders(baseUrl: string, dataOrigins: () => readonly string[]): RequestHandler {
  const secure = baseUrl.startsWith("https:");
  const connections = () => dataOrigins().filter(isOrigin).join(" ") || "'self'";
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", "data:"],
        fontSrc: ["'self'", "data:"],
        connectSrc: ["'self'", connections],
        objectSrc: ["'none'"],
        baseUri: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        ...(secure ? { upgradeInsecureRequests: [] } : {}),
      },
    },
    frameguard: { action: "deny" },
    strictTransportSecurity: secure,
    // Downloads come from the worker's own origin, which sets its own policy.
    crossOriginResourcePolicy: { policy: "same-origin" },
    crossOriginOpenerPolicy: secure ? { policy: "same-origin" } : false,
    originAgentCluster: secure,
  });
}

/** A value that can stand in a policy without ending the directive: scheme, host and port alone. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

/**
 * Refuses what a foreign web page sends: state-changing calls, and any call that brings our cookie, when the browser names an origin
 * that is not ours. Callers that are not browsers send no Origin and prove themselves with a token.
 *
 * @throws ORIGIN_DENIED (through `next`).
 */
export function originCheck(baseUrl: string, cookieName: string): RequestHandler {
  const own = new URL(baseUrl).origin;
  return (req, _res, next) => {
    const origin = req.get("origin");
    if (origin === undefined || origin === own || isSameAddress(req, origin)) return next();
    const reads = req.method === "GET" || req.method === "HEAD" || req.method === "OPTIONS";
    if (reads && !(req.get("cookie") ?? "").includes(`${cookieName}=`)) return next();
    next(
      new XVaultError("ORIGIN_DENIED", undefined, {
        fix: "Open xVault at its own address (BASE_URL), or use an API token.",
      }),
    );
  };
}

/**
 * True when the page was loaded from the very address that it calls, by a name that no stranger can point here: an IP address or
 * localhost. Other names count only as BASE_URL, because a name of an attacker can be made to resolve to this machine.
 */
function isSameAddress(req: Request, origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { host, hostname, protocol } = new URL(origin);
  if (protocol !== "http:" && protocol !== "https:") return false;
  const literal = isIP(hostname.replace(/^\[|\]$/g, "")) !== 0 || hostname === "localhost";
  return literal && host === req.get("host");
}
