import { XVaultError } from "@xvault/kernel";
import { DrizzleQueryError } from "drizzle-orm";
import postgres from "postgres";

interface Facts {
  message: string;
  code: string;
  constraint?: string | undefined;
  table?: string | undefined;
  statement?: string | undefined;
}

/**
 * A statement that the database refused. Carries what helps to find the cause, and none of the parameters: those may be secret, and
 * this ends up in logs.
 */
export class DatabaseError extends Error {
  /** SQLSTATE, e.g. '23505'. */
  readonly code: string;
  readonly constraint: string | undefined;
  readonly table: string | undefined;
  /** The statement with its placeholders. */
  readonly statement: string | undefined;

  constructor(facts: Facts) {
    super(facts.message);
    this.name = "DatabaseError";
    this.code = facts.code;
    this.constraint = facts.constraint;
    this.table = facts.table;
    this.statement = facts.statement;
  }
}

/** True when `error`, or what caused it, is a violated unique constraint or index (the one named, or any). */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const found = factsOf(error);
  return found?.code === "23505" && (constraint === undefined || found.constraint === constraint);
}

/** SQLSTATE of a refused statement, or the driver's code of a broken connection; undefined for errors that are not the database's. */
export function databaseCode(error: unknown): string | undefined {
  return factsOf(error)?.code;
}

/** Connection exceptions, a server that starts or stops, one without a free slot; and the driver's and the system's own codes. */
const UNREACHABLE =
  /^(08...|57P0[1-5]|53300|CONNECT_TIMEOUT|CONNECTION_(CLOSED|ENDED|DESTROYED)|ECONN(REFUSED|RESET)|EPIPE|ETIMEDOUT|ENOTFOUND|E(HOST|NET)UNREACH|EAI_AGAIN)$/;
/** A value that no column can hold, such as a NUL in a text or a date that is none: what was asked for is wrong, not we. */
const NO_VALUE = /^22(021|P02|P05|003|007|008|009)$/;
/** Serialisation failure and deadlock: the same call may succeed at once. */
const TRY_AGAIN = new Set(["40001", "40P01"]);

/**
 * What a caller gets to see of a failed transaction: our own errors as they are; `UNAVAILABLE` when the database was not there;
 * `CONFLICT` (to be tried again) for a deadlock; `INPUT_INVALID` for a value that the database cannot hold; {@link DatabaseError} for other refusals; anything else unchanged.
 */
export function translated(error: unknown): unknown {
  if (error instanceof XVaultError || error instanceof DatabaseError) return error;
  const found = factsOf(error);
  if (!found) return error;
  const cause = new DatabaseError(found);
  if (UNREACHABLE.test(found.code)) return new XVaultError("UNAVAILABLE", "The database cannot be reached.", { cause });
  if (NO_VALUE.test(found.code))
    return new XVaultError("INPUT_INVALID", "The request holds a value that cannot be stored or compared.", { cause });
  if (TRY_AGAIN.has(found.code)) return new XVaultError("CONFLICT", undefined, { retry: true, cause });
  return cause;
}

/** What the database said, wherever it lies in the chain of causes. */
function factsOf(error: unknown): Facts | undefined {
  let statement: string | undefined;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof DatabaseError) return at;
    if (at instanceof DrizzleQueryError) statement = at.query;
    if (at instanceof postgres.PostgresError) {
      const { message, code, constraint_name: constraint, table_name: table } = at;
      return { message, code, constraint, table, statement };
    }
    if ("code" in at && typeof at.code === "string" && UNREACHABLE.test(at.code)) {
      return { message: at.message, code: at.code, statement };
    }
  }
  // The query builder puts the parameters into its message, and so may others: never let that pass, even when the cause is unknown.
  return statement === undefined
    ? undefined
    : { message: "A statement failed in the driver.", code: "XX000", statement };
}
