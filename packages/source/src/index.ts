export { canonicalAddress, resolveAllowed } from "./address.ts";
export { connectSource } from "./connection.ts";
export { type KeepOptions, keepConnected } from "./keep-connected.ts";
export { fingerprint, generateKeyPair, hostKeyFromBlob, inspectPrivateKey } from "./keys.ts";
export { checkUsername, probeHostKey } from "./link.ts";
export { planFor } from "./plan-for.ts";
export { preflightSource } from "./preflight.ts";
export type { RateLimit } from "./throttle.ts";
export type {
  AddressPolicy,
  BrokenFile,
  Capabilities,
  ConnectOptions,
  Credential,
  HostKey,
  Listing,
  ListingState,
  Measure,
  PreflightCheck,
  ProbeOptions,
  PulledEntry,
  PullOptions,
  PullPlan,
  RemoteEntry,
  ScanItem,
  ScanOptions,
  SourceClock,
  SourceConnection,
  SourceEvent,
  TargetOptions,
  TarParser,
  Transport,
} from "./types.ts";
