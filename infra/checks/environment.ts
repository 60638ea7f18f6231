import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Compose, interpolate } from "./compose.ts";
import { parseDockerfile } from "./dockerfile.ts";

/** The component, and so the Dockerfile, that a service of the compose file runs: `worker` for `worker-1`. */
export function componentOf(service: string): string {
  return service.replace(/-\d+$/, "");
}

/**
 * The environment that a service's process would see: its image's, then the compose file's with every variable at its default.
 * Secrets are looked for in the folder `secrets`, where infra/secrets.sh has put them, rather than in `/run/secrets`.
 */
export function environment(root: string, compose: Compose, service: string, secrets: string): Record<string, string> {
  const image = readFileSync(join(root, `infra/docker/${componentOf(service)}.Dockerfile`), "utf8");
  const own = Object.entries(compose.services[service]?.environment ?? {});
  const all = {
    ...parseDockerfile(image).env,
    ...Object.fromEntries(own.map(([key, value]) => [key, interpolate(String(value))])),
  };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, value.replace("/run/secrets", secrets)]));
}
