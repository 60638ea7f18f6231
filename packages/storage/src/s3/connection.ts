import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { S3 } from "@aws-sdk/client-s3";
import { checkKey } from "../keys.ts";
import { s3Error } from "./failures.ts";
import { createFinder } from "./find.ts";
import { checkLiteral } from "./lookup.ts";
import { checkOptions, literalAddress, type S3StoreOptions } from "./options.ts";

const CONNECT_MS = 15_000;
/** Nothing moved for so long: a half-open link must not hold a job for ever. */
const IDLE_MS = 60_000;
/** The first try included. */
const ATTEMPTS = 4;

/** One bucket, asked by one credential. */
export interface S3Connection {
  readonly bucket: string;
  readonly options: S3StoreOptions;
  /**
   * Runs one call and tells its failure in our words. A signal of the caller's own may end it earlier; with null not even the store's does:
   * what cleans up goes on when the rest was cancelled.
   */
  call<T>(
    operation: string,
    key: string,
    run: (s3: S3, http: { abortSignal?: AbortSignal }) => Promise<T>,
    signal?: AbortSignal | null,
  ): Promise<T>;
  /** The size of an object, or null when there is none. A bucket that is not there is told. */
  head(key: string): Promise<{ sizeBytes: number } | null>;
  /** What a key is called in the bucket. Refuses what is no key with `PATH_INVALID`. */
  nameOf(key: string): string;
  /** What everything below a prefix begins with in the bucket; '' stands for the whole store. */
  below(prefix: string): string;
  /** The key of what is called so in the bucket, or null when it is none of this store's. */
  keyOf(name: string): string | null;
  close(): void;
}

/** Loads the SDK and prepares a client; sends nothing yet. @throws INPUT_INVALID, TARGET_FORBIDDEN */
export async function connect(options: S3StoreOptions): Promise<S3Connection> {
  checkOptions(options);
  const address = literalAddress(options.endpoint);
  if (options.lookup && address !== null) await checkLiteral(options.lookup, address);
  const s3 = await createClient(options);
  const { bucket } = options;
  const root = options.prefix === "" ? "" : `${options.prefix}/`;
  const call: S3Connection["call"] = async (operation, key, run, signal) => {
    const signals = signal === null ? [] : [options.signal, signal].filter((one) => one !== undefined);
    try {
      return await run(s3, signals.length === 0 ? {} : { abortSignal: AbortSignal.any(signals) });
    } catch (error) {
      throw s3Error(error, operation, key, bucket);
    }
  };
  const find = createFinder(bucket, call);
  const connection: S3Connection = {
    bucket,
    options,
    call,
    head: async (key) => find(key, connection.nameOf(key)),
    nameOf(key) {
      checkKey(key);
      return root + key;
    },
    below(prefix) {
      return prefix === "" ? root : `${connection.nameOf(prefix)}/`;
    },
    keyOf(name) {
      if (!name.startsWith(root)) return null;
      const key = name.slice(root.length);
      try {
        checkKey(key);
        return key;
      } catch {
        return null; // somebody else's: nothing that this store could have written
      }
    },
    close: () => s3.destroy(),
  };
  return connection;
}

/** Loaded on first use: a worker without S3 does not pay for the SDK. */
async function createClient(options: S3StoreOptions): Promise<S3> {
  const { S3 } = await import("@aws-sdk/client-s3");
  const { accessKeyId, secretAccessKey, sessionToken, lookup } = options;
  const agent = { keepAlive: true, maxSockets: 32, maxFreeSockets: 4, ...(lookup ? { lookup } : {}) };
  return new S3({
    region: options.region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) },
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    forcePathStyle: options.pathStyle,
    maxAttempts: ATTEMPTS,
    retryMode: "standard",
    defaultsMode: "standard",
    // The default sends a checksum as a trailer, which servers other than AWS refuse, or store as data.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // With it the SDK would open sockets that know nothing of `lookup`.
    expectContinueHeader: false,
    // Nothing of the machine's own AWS configuration.
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    disableS3ExpressSessionAuth: true,
    userAgentAppId: "xvault",
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: IDLE_MS,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...(options.caPem === null ? {} : { ca: options.caPem }) }),
    },
  });
}
