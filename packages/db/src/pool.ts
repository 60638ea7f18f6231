import { XVaultError } from "@xvault/kernel";
import { type Connection, inTransaction, openConnection, type Tx } from "./transaction.ts";

/** Connections of one role, lent to one transaction at a time. */
export interface Pool {
  /**
   * Runs `work` in a transaction on a free connection, waiting for one where none is free. `setting` is a statement that is run first,
   * before anything of `work`: '' for none.
   */
  transaction<T>(setting: string, work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Lets what runs end, for 5 s at most, and ends the connections. */
  close(): Promise<void>;
}

/** How long `close` waits for transactions that run. Milliseconds. */
const PATIENCE = 5000;

export function createPool(url: string, { max, name }: { max: number; name: string }): Pool {
  const idle: Connection[] = [];
  const lent = new Set<Connection>();
  const waiting: { resolve: (connection: Connection) => void; reject: (error: Error) => void }[] = [];
  let closing: Promise<void> | undefined;
  let allReturned = () => {};

  const lend = (connection: Connection) => {
    lent.add(connection);
    return connection;
  };

  function borrow(): Promise<Connection> {
    if (closing) return Promise.reject(closed());
    for (let one = idle.pop(); one; one = idle.pop()) {
      if (!one.lost) return Promise.resolve(lend(one));
      drop(one);
    }
    if (lent.size < max) return Promise.resolve(lend(openConnection(url, name)));
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }

  function giveBack(connection: Connection): void {
    lent.delete(connection);
    if (connection.lost || closing) drop(connection);
    const next = waiting.shift();
    if (next) next.resolve(lend(connection.lost ? openConnection(url, name) : connection));
    else if (!connection.lost && !closing) idle.push(connection);
    if (lent.size === 0) allReturned();
  }

  async function end(): Promise<void> {
    for (const { reject } of waiting.splice(0)) reject(closed());
    if (lent.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        allReturned = resolve;
        timer = setTimeout(resolve, PATIENCE);
      });
      clearTimeout(timer);
    }
    await Promise.all([...idle.splice(0), ...lent].map(({ client }) => client.end({ timeout: 1 })));
  }

  return {
    async transaction(setting, work) {
      const connection = await borrow();
      try {
        return await inTransaction(connection, setting, work);
      } finally {
        giveBack(connection);
      }
    },
    close: () => (closing ??= end()),
  };
}

/** A connection that is of no use any more: whatever it still says does not matter. */
function drop({ client }: Connection): void {
  void client.end({ timeout: 0 }).catch(() => {});
}

function closed(): XVaultError {
  return new XVaultError("UNAVAILABLE", "The database was closed: this process is ending.");
}
