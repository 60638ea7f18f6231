import type { HostKeyMessage } from "@xvault/contracts";
import type { Reporter } from "@xvault/engine";
import { connectSource, type ConnectOptions, type Credential, type SourceConnection } from "@xvault/source";
import type { WorkerContext } from "../context.ts";

interface Reach {
  host: string;
  port: number;
  username: string;
  host_key: HostKeyMessage;
}

/** Everything that opening a source takes. The credential is fetched just in time and kept nowhere. */
export async function connectOptions(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  reach: Reach,
  options: { signal: AbortSignal; reporter: Reporter },
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
    onEvent: (event) => {
      if (event.type === "note") options.reporter.info(event.message);
      if (event.type === "connected")
        options.reporter.info(`Connected to ${event.address}, round trip ${Math.round(event.roundTripMs)} ms.`);
      if (event.type === "skipped-specials" && event.count > 0) {
        options.reporter.info(`${event.count} FIFOs, sockets or devices were left out.`);
      }
    },
  };
}

export async function connect(
  context: WorkerContext,
  held: { job_id: string; attempt: number },
  reach: Reach,
  options: { signal: AbortSignal; reporter: Reporter },
): Promise<SourceConnection> {
  return connectSource(await connectOptions(context, held, reach, options));
}
