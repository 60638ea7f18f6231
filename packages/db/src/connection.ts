import postgres from "postgres";

export interface ConnectionOptions {
  /** Connections at most. */
  max: number;
  /** Shown in pg_stat_activity. */
  name: string;
  /** Hears that a connection has ended, whoever ended it. */
  onclose?: () => void;
}

/** A client of the server. Nothing is connected before the first query; UTC, no notices printed. */
export function connect(url: string, { max, name, onclose = () => {} }: ConnectionOptions): postgres.Sql {
  return postgres(url, {
    max,
    onclose,
    connect_timeout: 10,
    // A connection that is thought too old may end between two statements of a transaction that the driver knows nothing of.
    max_lifetime: null,
    // A transaction that somebody forgot must not hold its locks for ever. Milliseconds.
    connection: { application_name: name, TimeZone: "UTC", idle_in_transaction_session_timeout: 120_000 },
    onnotice: () => {},
  });
}
