import { XVaultError } from "@xvault/kernel";
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import { connect } from "./connection.ts";

/** What a transaction's work is given: queries, and nothing that outlives it. */
export type Tx = Omit<PostgresJsDatabase, "transaction" | "$client">;

/** One connection, used by one transaction at a time. Once lost it is never used again. */
export interface Connection {
  readonly client: Sql;
  /** True when the server or the network has ended it, or when its state is unknown. */
  lost: boolean;
  /** Called when it is lost. */
  onLost: (() => void) | null;
}

export function openConnection(url: string, name: string): Connection {
  const connection: Connection = {
    client: connect(url, {
      max: 1,
      name,
      onclose: () => {
        connection.lost = true;
        connection.onLost?.();
      },
    }),
    lost: false,
    onLost: null,
  };
  return connection;
}

type Query = Parameters<Sql["unsafe"]>;

/**
 * Runs `work` in a transaction: commits when it resolves, rolls back when it rejects or when a statement was refused, whoever caught that.
 *
 * The driver's own `begin` is not used: after a lost connection it writes its ROLLBACK into nothing, which ends the process, and
 * statements that come late run in whatever transaction the connection serves by then (porsager/postgres, issues 1208 and 1155). Here the
 * handle is good for this transaction alone, and every statement of a lost connection fails.
 */
export async function inTransaction<T>(
  connection: Connection,
  setting: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const { client } = connection;
  let failure: { error: unknown } | undefined;
  let over = false;
  const lost = new Promise<never>((_, reject) => {
    connection.onLost = () => reject(connectionLost());
  });
  lost.catch(() => {});

  // The driver does not settle every statement of a connection that breaks: the loss does.
  const send = (...query: Query) => {
    const pending = client.unsafe(...query);
    const settled = connection.lost ? Promise.reject(connectionLost()) : Promise.race([pending, lost]);
    settled.catch((error: unknown) => {
      failure ??= { error };
    });
    // Asked for in the same breath (the driver begins a tick later), rows come as arrays of values.
    const values = () => {
      if (!connection.lost) void pending.values();
      return settled;
    };
    return Object.assign(settled, { values });
  };
  const unsafe = (...query: Query) =>
    over
      ? Object.assign(Promise.reject(transactionOver()), { values: () => Promise.reject(transactionOver()) })
      : send(...query);
  const tx: Tx = drizzle({ unsafe, options: client.options } as unknown as Sql);

  try {
    await send(setting === "" ? "begin" : `begin; ${setting}`);
    const value = await work(tx).finally(() => {
      over = true;
    });
    if (failure) throw failure.error;
    const end = await send("commit");
    // The server ends a transaction in which something failed by rolling back, and calls that a success.
    if (end.command !== "COMMIT") throw new XVaultError("INTERNAL", "The database rolled the transaction back.");
    return value;
  } catch (error) {
    over = true;
    if (!connection.lost) {
      await send("rollback").catch(() => {
        connection.lost = true;
      });
    }
    throw error;
  } finally {
    connection.onLost = null;
  }
}

function connectionLost(): Error {
  return Object.assign(new Error("the connection to the database was lost"), { code: "CONNECTION_CLOSED" });
}

function transactionOver(): Error {
  return new XVaultError("INTERNAL", "A transaction was used after its end: await every query inside it.");
}
