import { isXVaultError, XVaultError } from "@xvault/kernel";
import { type AddressPolicy, createAddressPolicy } from "@xvault/platform";
import { resolveAllowed } from "@xvault/source";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";

/** How long a receiver has, from the look-up of its name to its answer's status. Milliseconds. */
const LIMIT_MS = 10_000;
/** So much of an answer is read and thrown away; what sends more is cut off. */
const ANSWER_BYTES = 1024;

/** Addresses that anybody can have: to these, nothing goes unenciphered. */
const PUBLIC = createAddressPolicy({ allowPrivate: false, allowedRanges: [] });

export interface PostOptions {
  /** Which addresses may be reached. */
  policy: AddressPolicy;
  /** Looks a name up; the system's resolver unless given. */
  resolve?: (host: string) => Promise<string[]>;
  limitMs?: number;
  /** Certificates (PEM) to trust instead of the system's. */
  ca?: string;
}

/** What became of one try: a status, or why there was none. */
export type Answer = { status: number; error: null } | { status: null; error: string };

/**
 * Posts JSON to an address that a customer named. The name is looked up anew, every address that it leads to is held against the policy, and
 * the connection goes to one of these and to nothing else: neither a second answer of the name server nor a redirect, which is not followed,
 * leads anywhere. What is answered, but for its status, reaches nobody. Never throws.
 */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  options: PostOptions,
): Promise<Answer> {
  const limit = AbortSignal.timeout(options.limitMs ?? LIMIT_MS);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener("abort", () => reject(new XVaultError("HOST_UNREACHABLE", "No answer in time.")), {
      once: true,
    });
  });
  try {
    return { status: await Promise.race([send(new URL(url), headers, body, limit, options), late]), error: null };
  } catch (error) {
    return { status: null, error: reasonOf(error) };
  }
}

async function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
  options: PostOptions,
): Promise<number> {
  const addresses = await resolveAllowed(url.hostname, options.policy, options.resolve);
  if (url.protocol === "http:" && addresses.some((one) => PUBLIC.allow(one))) {
    throw new XVaultError("TARGET_FORBIDDEN", "Over the internet, only https:// is sent to.");
  }
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = (url.protocol === "https:" ? https : http).request(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    // A connection of its own, to an address that was judged; names in certificates are still those of the URL.
    agent: false,
    lookup: only(addresses),
    signal,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  request.on("error", reject);
  request.on("response", (response) => {
    let read = 0;
    response.on("data", (chunk: Buffer) => {
      read += chunk.length;
      if (read > ANSWER_BYTES) request.destroy();
    });
    response.on("error", () => {});
    resolve(response.statusCode ?? 0);
  });
  request.end(body);
  return promise;
}

/** A look-up that knows these answers alone. */
function only(addresses: string[]): LookupFunction {
  const known = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first = { address: "", family: 0 }] = known;
  return (_host, { all }, done) => (all ? done(null, known) : done(null, first.address, first.family));
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: "Nothing listens at that address.",
  ECONNRESET: "The connection was reset.",
  EPIPE: "The connection was reset.",
  ETIMEDOUT: "No answer in time.",
  ABORT_ERR: "No answer in time.",
  EHOSTUNREACH: "There is no route to the host.",
  ENETUNREACH: "There is no route to the network.",
  EPROTO: "The server does not speak TLS at that address.",
  CERT_HAS_EXPIRED: "The server's certificate has expired.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The server's certificate is signed by nobody who is known.",
  SELF_SIGNED_CERT_IN_CHAIN: "The server's certificate is signed by nobody who is known.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The server's certificate is signed by nobody who is known.",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "The server's certificate is signed by nobody who is known.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The server's certificate is for another name.",
};

/** Why nothing was answered, in a sentence for people. Messages of the system are not passed on: they can quote what is secret. */
function reasonOf(error: unknown): string {
  if (isXVaultError(error)) return error.message;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return REASONS[code] ?? `The request could not be sent${/^[A-Z_]{3,60}$/.test(code) ? ` (${code})` : ""}.`;
}
