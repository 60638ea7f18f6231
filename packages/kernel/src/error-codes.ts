import { ARCHIVE_CODES, type Known } from "./error-codes-archive.ts";

const CODES = {
  // general
  INTERNAL: {
    status: 500,
    message: "Something went wrong inside xVault.",
    fix: "Try again; if it persists, give the request id to the operator, who finds it in the log.",
    retry: true,
  },
  NOT_FOUND: {
    status: 404,
    message: "No such thing exists, or it is not yours.",
    fix: "Check the id and the workspace you are signed in to.",
  },
  INPUT_INVALID: {
    status: 400,
    message: "The request is not valid.",
    fix: "Correct the fields that are named and send it again.",
  },
  FIELD_NOT_ALLOWED: {
    status: 400,
    message: "The request has a field that is not allowed here.",
    fix: "Leave the field out.",
  },
  BODY_TOO_LARGE: { status: 413, message: "The request body is too large.", fix: "Send less in one request." },
  BATCH_LIMIT: { status: 400, message: "Too many calls in one batch.", fix: "Split the batch." },
  RATE_LIMITED: { status: 429, message: "Too many requests.", fix: "Wait a moment and try again.", retry: true },
  CONFLICT: { status: 409, message: "This changed meanwhile, or already exists.", fix: "Reload and try again." },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    message: "This idempotency key was used for another request.",
    fix: "Use a key of its own for each request; send the same request to have the same answer.",
  },
  UNAVAILABLE: {
    status: 503,
    message: "A part of xVault is not reachable right now.",
    fix: "Wait a moment and try again.",
    retry: true,
  },
  CANCELLED: { status: 409, message: "The work was cancelled.", fix: "Start it again when you want it." },
  CONFIG_INVALID: {
    status: 500,
    message: "The configuration is not valid.",
    fix: "Correct the settings that are named and start again.",
  },
  // who you are
  UNAUTHENTICATED: { status: 401, message: "You are not signed in.", fix: "Sign in and try again." },
  CREDENTIALS_INVALID: {
    status: 401,
    message: "E-mail address or password is wrong.",
    fix: "Check both and try again.",
  },
  SESSION_REVOKED: { status: 401, message: "This session has ended.", fix: "Sign in again." },
  REAUTH_REQUIRED: {
    status: 403,
    message: "This action needs your password again.",
    fix: "Enter your password to confirm.",
  },
  FORBIDDEN: { status: 403, message: "Your role does not allow this.", fix: "Ask an owner or admin of the workspace." },
  SCOPE_MISSING: {
    status: 403,
    message: "The token lacks the scope for this.",
    fix: "Use a token that has the scope named.",
  },
  ORIGIN_DENIED: {
    status: 403,
    message: "The request came from a foreign origin.",
    fix: "Use the xVault web interface itself, or a token.",
  },
  EMAIL_TAKEN: { status: 409, message: "An account with this e-mail address exists.", fix: "Sign in instead." },
  PASSWORD_WEAK: {
    status: 400,
    message: "The password is too short or too common.",
    fix: "Use at least 10 characters that are not a known phrase.",
  },
  TOKEN_INVALID: { status: 401, message: "The token is not valid.", fix: "Make a new token." },
  TOKEN_ALG: {
    status: 401,
    message: "The token is signed with an algorithm that is not accepted.",
    fix: "Use a token that xVault issued.",
  },
  TOKEN_AUDIENCE: { status: 401, message: "The token is meant for another use.", fix: "Use a token made for this." },
  TOKEN_EXPIRED: { status: 401, message: "The token has expired.", fix: "Get a new one." },
  TOKEN_EXPIRY_REQUIRED: {
    status: 401,
    message: "The token carries no expiry.",
    fix: "Use a token that xVault issued.",
  },
  TOKEN_KEY_UNKNOWN: {
    status: 401,
    message: "The token is signed with an unknown key.",
    fix: "Use a token that xVault issued.",
  },
  // workers and jobs
  ENROLLMENT_INVALID: {
    status: 401,
    message: "The enrolment token is not valid.",
    fix: "Make a new one on the Admin page.",
  },
  ENROLLMENT_USED: {
    status: 401,
    message: "The enrolment token was used or has expired.",
    fix: "Make a new one on the Admin page.",
  },
  WORKER_REVOKED: { status: 401, message: "This worker was revoked.", fix: "Enrol it anew." },
  LEASE_LOST: {
    status: 409,
    message: "The job is no longer leased to this worker and attempt.",
    fix: "Stop working on it; another attempt has it.",
  },
  NO_WORKER: {
    status: 503,
    message: "No worker that can do this is online.",
    fix: "Start a worker, or wait until it is back.",
    retry: true,
  },
  JOB_NOT_CANCELLABLE: { status: 409, message: "The job has already ended.", fix: "There is nothing to cancel." },
  SCHEDULE_INVALID: {
    status: 400,
    message: "The schedule is not a valid cron expression or time zone.",
    fix: "Use five cron fields and a zone such as Europe/Rome.",
  },
  SCHEDULE_TOO_FREQUENT: {
    status: 400,
    message: "The schedule runs too often.",
    fix: "Leave at least five minutes between runs.",
  },
  RETENTION_INVALID: {
    status: 400,
    message: "The retention rules are not valid.",
    fix: "Correct the rule that is named.",
  },
  // connecting to a source
  TARGET_FORBIDDEN: {
    status: 403,
    message: "The address lies in a range that xVault must not connect to.",
    fix: "Use a public address, or have the operator list the range in XVAULT_ALLOWED_RANGES.",
  },
  HOST_UNRESOLVED: {
    status: 502,
    message: "The host name could not be resolved.",
    fix: "Check the spelling of the host name.",
    retry: true,
  },
  HOST_UNREACHABLE: {
    status: 502,
    message: "The host did not answer.",
    fix: "Check address, port and firewall.",
    retry: true,
  },
  CONNECTION_LOST: {
    status: 502,
    message: "The connection to the source broke.",
    fix: "Check the network; xVault tries again.",
    retry: true,
  },
  HOST_KEY_CHANGED: {
    status: 502,
    message: "The server presented a host key other than the confirmed one. No credential was sent.",
    fix: "If the server was reinstalled, confirm its new key on the source's page; otherwise treat it as an attack.",
  },
  HOST_KEY_UNCONFIRMED: {
    status: 409,
    message: "The host key of this source was never confirmed.",
    fix: "Compare the fingerprint and confirm it on the source's page.",
  },
  LOGIN_REFUSED: {
    status: 502,
    message: "The server refused the login.",
    fix: "Check the user name and that the key stands in authorized_keys, or the password.",
  },
  USERNAME_INVALID: {
    status: 400,
    message: "The user name has characters that are not allowed.",
    fix: "Use a plain system user name.",
  },
  PATH_INVALID: { status: 400, message: "The path is not valid.", fix: "Use an absolute path without '..'." },
  PATH_MISSING: {
    status: 404,
    message: "The path does not exist on the source.",
    fix: "Correct the path in the source's settings.",
  },
  PATH_DENIED: {
    status: 403,
    message: "The path may not be read by the login user.",
    fix: "Give the user read access, or leave the path out.",
  },
  KEY_INVALID: {
    status: 400,
    message: "The private key cannot be read.",
    fix: "Paste a whole OpenSSH or PEM private key.",
  },
  KEY_PASSPHRASE_REQUIRED: {
    status: 400,
    message: "The private key is protected by a passphrase.",
    fix: "Give the passphrase, or use a key without one.",
  },
  SOURCE_CHANGED: {
    status: 502,
    message: "The source changed or vanished while it was read.",
    fix: "Run the backup again.",
    retry: true,
  },
  REMOTE_FAILED: {
    status: 502,
    message: "A command on the source failed.",
    fix: "See the job's log for what it said.",
    retry: true,
  },
  SOURCE_PAUSED: { status: 409, message: "The source is paused.", fix: "Resume it first." },
  NOTHING_READABLE: {
    status: 502,
    message: "None of the source's paths could be read.",
    fix: "Check the paths and the login user's rights.",
  },
  CHECKSUM_MISMATCH: {
    status: 409,
    message: "The checksum is another than the one announced.",
    fix: "Ingest what you have now as a package of its own.",
  },
  EDGE_FAILED: {
    status: 502,
    message: "The edge client reported that it failed.",
    fix: "See the client's own log, then ingest anew.",
  },
  // keys
  KEK_INVALID: {
    status: 500,
    message: "The key encryption key is not 32 bytes.",
    fix: "Set XVAULT_KEK to 32 random bytes in base64.",
  },
  KEK_UNKNOWN: {
    status: 500,
    message: "Data is sealed with a key encryption key that is not configured.",
    fix: "Configure the key whose id is named.",
  },
  SECRET_UNREADABLE: {
    status: 500,
    message: "A stored secret does not belong where it lies, or was damaged.",
    fix: "Enter the credential anew; have the operator look at the log.",
  },
  RECIPIENT_INVALID: {
    status: 400,
    message: "This is not an age recipient.",
    fix: "Paste the line that begins with age1.",
  },
  RECIPIENT_IS_PRIVATE: {
    status: 400,
    message: "This is a private identity. It was not stored.",
    fix: "Paste the recipient (age1…) and keep the identity to yourself.",
  },
  IDENTITY_INVALID: {
    status: 400,
    message: "This is not an age identity.",
    fix: "Give the file with the line that begins with AGE-SECRET-KEY-1.",
  },
  KEY_MISMATCH: {
    status: 400,
    message: "None of the identities given opens this snapshot.",
    fix: "Use the identity whose recipient fingerprint the manifest names.",
  },
  KEY_CUSTOMER_HELD: {
    status: 409,
    message: "This workspace holds its own restore key; xVault cannot decrypt this snapshot.",
    fix: "Run 'xvault restore --identity FILE' where the identity is.",
  },
  TENANT_SHREDDED: {
    status: 410,
    message: "The keys of this workspace were destroyed.",
    fix: "Its backups cannot be read any more.",
  },
  // stored bytes
  SNAPSHOT_NEEDED: {
    status: 409,
    message: "This snapshot is still needed.",
    fix: "Keep it until nothing builds on it any more.",
  },
  SPACE_REQUIRED: {
    status: 507,
    message: "There is not enough free space.",
    fix: "Free some space on the storage and run again.",
  },
  STORAGE_FAILED: {
    status: 500,
    message: "The storage could not be read or written.",
    fix: "Check the storage; see the job's log.",
    retry: true,
  },
  STORAGE_READ_ONLY: {
    status: 403,
    message: "This storage may be read, but not changed.",
    fix: "Choose a storage that takes backups, or have whoever set it to read-only lift that.",
  },
  STORAGE_DENIED: {
    status: 502,
    message: "The storage refused the credential, or does not allow it to do this.",
    fix: "Correct the access key and its secret in the storage's settings, or give the key the rights it needs.",
  },
  STORAGE_KEY_MISSING: {
    status: 409,
    message: "The operator gives each workspace a key of its own for this storage, and this workspace has none.",
    fix: "Ask the platform's admin for a key on this storage, or choose another one.",
  },
  OBJECT_LOCKED: {
    status: 409,
    message: "A lock on the storage keeps this from being removed.",
    fix: "Wait until the lock has ended.",
  },
  OBJECT_EXISTS: {
    status: 409,
    message: "An object of this name exists already and is never overwritten.",
    fix: "Nothing: the existing object was kept.",
  },
  AUDIT_CHAIN_BROKEN: {
    status: 422,
    message: "The audit log is not what was written: its chain of hashes is broken.",
    fix: "Compare it with another copy or a backup of the database; what follows the break proves nothing.",
  },
  SIGNATURE_INVALID: {
    status: 422,
    message: "The manifest's signature is missing or wrong; the snapshot was not made by a worker of this platform.",
    fix: "Do not trust this copy; use another snapshot or copy.",
  },
  SIGNER_REVOKED: {
    status: 422,
    message: "The manifest was signed by a worker after it was revoked.",
    fix: "Do not trust this snapshot.",
  },
  MANIFEST_TENANT_MISMATCH: {
    status: 422,
    message: "The manifest belongs to another tenant, source or snapshot.",
    fix: "The copy was swapped; use another one.",
  },
  CHAIN_GAP: {
    status: 422,
    message: "A snapshot is missing from the source's chain.",
    fix: "Find out who removed it; the others can be restored.",
  },
  ARTIFACT_CORRUPT: {
    status: 422,
    message: "The stored bytes are not those that were written.",
    fix: "Use another snapshot or copy; check the disk.",
  },
  ARTIFACT_MISSING: {
    status: 404,
    message: "The stored files of this snapshot are not where they should be.",
    fix: "Bring the storage back, or use another copy.",
  },
  UPLOAD_HASH_MISMATCH: {
    status: 422,
    message: "The bytes that arrived do not match the announced checksum.",
    fix: "Send them again.",
  },
  PROOF_REPLAYED: { status: 422, message: "This proof was used before.", fix: "Make a new one." },
  ...ARCHIVE_CODES,
} as const satisfies Record<string, Known>;

export type ErrorCode = keyof typeof CODES;

/**
 * Every stable error code: its HTTP status, its default cause and its default fix. Throwers may give a more exact cause and fix;
 * the code and the status stay. Codes are never reused for another meaning.
 */
export const ERROR_CODES: Record<ErrorCode, Known> = CODES;
