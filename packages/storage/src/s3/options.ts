import { isIP, type LookupFunction } from "node:net";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { checkKey } from "../keys.ts";
import type { ObjectStore } from "../object-store.ts";

export type LockMode = "GOVERNANCE" | "COMPLIANCE";

export interface S3StoreOptions {
  /** `https://HOST[:PORT]`, without a path; null for AWS itself. */
  endpoint: string | null;
  region: string;
  bucket: string;
  /** Segments that come before every key, or ''. */
  prefix: string;
  /** `endpoint/bucket/key`, as most servers other than AWS want it, instead of `bucket.endpoint/key`. */
  pathStyle: boolean;
  /** The class that objects are written in; null: the bucket's own. One that must be thawed first cannot be read. */
  storageClass: string | null;
  /** Certificates in PEM that an https endpoint is trusted by instead of the system's; null: the system's. */
  caPem: string | null;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
  /** Every object is locked until then once it is committed. The bucket must have been made with object lock. */
  lock: { mode: LockMode; untilMs: number } | null;
  /** Resolves host names, as `dns.lookup` does; fails for what must not be connected to. See `checkedLookup`. */
  lookup?: LookupFunction | undefined;
  /** The size of the first thousand parts of a large object. Default 8 MiB; servers take no less than 5 MiB. */
  partBytes?: number | undefined;
  /** Ends every call with `CANCELLED`, except those that clean up after a writer. */
  signal?: AbortSignal | undefined;
}

/** A bucket, or what lies below a prefix in one. */
export interface S3Store extends ObjectStore {
  /**
   * Locks an object until then, or does nothing where it is locked longer already: a lock is only ever extended.
   * `ARTIFACT_MISSING`, `STORAGE_DENIED`, `STORAGE_FAILED` (a bucket without object lock).
   */
  lockUntil(key: string, untilMs: number): Promise<void>;
  /**
   * True when the bucket was seen to keep a lock: a test object was locked for seconds, and the deletion of that very version was refused,
   * while one without a lock could be deleted. False when it was not refused, or could not be locked. Takes some ten seconds where there is a lock:
   * the test object goes when it ends. `mode`: default that of the options, or GOVERNANCE.
   */
  proveLock(mode?: LockMode): Promise<boolean>;
  /** True when the bucket keeps what is overwritten or deleted. False where the server knows no versions or does not tell. */
  versioned(): Promise<boolean>;
  /** Closes idle connections. The store cannot be used afterwards. */
  close(): void;
}

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}$/;
/** Servers refuse a part that is smaller, unless it is the last one. */
const LEAST_PART = 5 * 1024 * 1024;

function invalid(field: string, message: string): XVaultError {
  return new XVaultError("INPUT_INVALID", message, { data: { field } });
}

/** Refuses options that no server could be asked by. @throws INPUT_INVALID, with the field's name */
export function checkOptions(options: S3StoreOptions): void {
  const { endpoint, region, bucket, prefix, partBytes } = options;
  if (endpoint !== null) checkEndpoint(endpoint);
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) throw invalid("region", "The region is not valid.");
  if (!BUCKET.test(bucket)) throw invalid("bucket", "The bucket's name is not valid.");
  if (options.accessKeyId === "") throw invalid("accessKeyId", "The access key is missing.");
  if (options.secretAccessKey === "") throw invalid("secretAccessKey", "The secret key is missing.");
  if (partBytes !== undefined && !(partBytes >= LEAST_PART)) throw invalid("partBytes", "A part has at least 5 MiB.");
  try {
    if (prefix !== "") checkKey(prefix);
  } catch (error) {
    if (!isXVaultError(error)) throw error;
    throw invalid("prefix", "The prefix must be segments of letters, digits, '.', '_' and '-', separated by '/'.");
  }
}

function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw invalid("endpoint", "The endpoint must be an address such as https://s3.example.org.");
  }
  if (url.username !== "" || url.password !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw invalid("endpoint", "The endpoint must have a host and a port only: no path, no user, no query.");
  }
}

/** The endpoint's host where it is written as an address, which no resolver is asked for. */
export function literalAddress(endpoint: string | null): string | null {
  if (endpoint === null) return null;
  const host = new URL(endpoint).hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) === 0 ? null : host;
}
