import postgres from "postgres";

export interface ConnectionOptions {
  /** Connections at most. */
  max: number;
  /** Shown in pg_stat_activity. */
  name: string;
}

/** A pool of connections. Nothing is connected before the first query; UTC, no notices printed. */
export function connect(url: string, { max, name }: ConnectionOptions): postgres.Sql {
  return postgres(url, {
    max,
    connect_timeout: 10,
    // A transaction that somebody forgot must not hold its locks for ever. Milliseconds.
    connection: { application_name: name, TimeZone: "UTC", idle_in_transaction_session_timeout: 120_000 },
    onnotice: () => {},
  });
}
