import type { WorkerOutput } from "@xvault/contracts";
import type { AddressPolicy } from "@xvault/source";
import type { ObjectStore } from "@xvault/storage";
import type { Logger, WorkerConfig } from "@xvault/platform";
import type { HubClient } from "./hub-client.ts";
import type { WorkerIdentity } from "./identity.ts";

/** What all parts of a running worker share; put together once in `main.ts`. */
export interface WorkerContext {
  config: WorkerConfig;
  identity: WorkerIdentity;
  hub: HubClient;
  store: ObjectStore;
  policy: AddressPolicy;
  log: Logger;
  /** What the hub said last: certificate, root keys, ticket keys, web origins. Renewed by every hello. */
  standing(): WorkerOutput<"hello">;
}
