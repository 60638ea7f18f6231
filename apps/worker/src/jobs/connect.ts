import type { HostKeyMessage, SourceOptions } from "@xvault/contracts";
import type { Reporter } from "@xvault/engine";
import {
  type Capabilities,
  connectSource,
  type ConnectOptions,
  type Credential,
  keepConnected,
  type SourceConnection,
} from "@xvault/source";
import type { WorkerContext } from "../context.ts";

interface Reach {
  host: string;
  port: number;
  username: string;
  host_key: HostKeyMessage;
}

interface ConnectFor {
  signal: AbortSignal;
  reporter: Reporter;
  /** How fast the source may be read; absent: as fast as it goes. */
  limits?: Pick<SourceOptions, "bytes_per_second" | "bandwidth">;
}

/** Everything that opening a source takes. The credential is fetched just in time and kept nowhere. */
export async function connectOptions(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  reach: Reach,
  options: ConnectFor,
): Promise<ConnectOptions> {
  const secret = await context.hub.insist("credentials", held, options.signal);
  const credential: Credential =
    secret.kind === "password"
      ? { kind: "password", password: secret.password }
      : { kind: "key", privateKey: secret.private_key, passphrase: secret.passphrase };
  return {
    host: reach.host,
    port: reach.port,
    username: reach.username,
    hostKey: reach.host_key,
    credential,
    policy: context.policy,
    signal: options.signal,
    bandwidth: rateLimit(options.limits),
    onEvent: (event) => {
      if (event.type === "note") options.reporter.info(event.message);
      if (event.type === "connected") {
        const { address, roundTripMs, cipher, fast } = event;
        const speed = fast ? "" : ", without the fast packet path";
        options.reporter.info(
          `Connected to ${address}, round trip ${Math.round(roundTripMs)} ms, cipher ${cipher}${speed}.`,
        );
      }
      if (event.type === "capabilities") options.reporter.info(found(event.capabilities));
      if (event.type === "pull") {
        options.reporter.info(
          event.transport === "tar" ? "Files come from tar on the server." : "Files come over SFTP.",
        );
      }
      if (event.type === "skipped-specials" && event.count > 0) {
        options.reporter.info(`${event.count} FIFOs, sockets or devices were left out.`);
      }
    },
  };
}

function rateLimit({ bytes_per_second = null, bandwidth = [] }: NonNullable<ConnectFor["limits"]> = {}) {
  if (bytes_per_second === null && bandwidth.length === 0) return undefined;
  return { bytesPerSecond: bytes_per_second, windows: bandwidth };
}

function found({ shell, gnuTar, gnuFind, sftp }: Capabilities): string {
  if (!shell) return "The server offers SFTP and no shell.";
  const tools = [gnuTar ? "GNU tar" : "no GNU tar", gnuFind ? "GNU find" : "no GNU find", sftp ? "SFTP" : "no SFTP"];
  return `The server has a shell, ${tools.join(", ")}.`;
}

/** Opens a source and keeps it open: when the link drops, it connects again, with the credential that the hub hands out then. */
export async function connect(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  reach: Reach,
  options: ConnectFor,
): Promise<SourceConnection> {
  return keepConnected(async () => connectSource(await connectOptions(context, held, reach, options)), {
    signal: options.signal,
    attempts: context.config.reconnect ? undefined : 0,
    onNote: (message) => options.reporter.info(message),
  });
}
