import { existsSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const condition = z.strictObject({
  condition: z.enum(["service_started", "service_healthy", "service_completed_successfully"]),
});
const span = z.string().regex(/^\d+(ms|s|m|h)$/);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

/** The part of the Compose Specification that xVault's file uses; a misspelt key is refused. */
const service = z.strictObject({
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  image: z.string(),
  profiles: z.array(z.string()).optional(),
  restart: z.enum(["no", "always", "on-failure", "unless-stopped"]).optional(),
  init: z.boolean().optional(),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  stop_grace_period: span.optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), scalar).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string().regex(/^[^:]+:\/[^:]*(:ro)?$/)).default([]),
  networks: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), condition).default({}),
  healthcheck: z
    .strictObject({ test: z.array(z.string()).min(2), interval: span, timeout: span, retries: z.int().positive() })
    .optional(),
});

const compose = z.strictObject({
  name: z.string(),
  services: z.record(z.string(), service),
  networks: z.record(z.string(), z.strictObject({ internal: z.boolean().optional() })),
  volumes: z.record(z.string(), z.strictObject({})),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
});

/** A compose file, defaults filled in and merge keys resolved. */
export type Compose = z.infer<typeof compose>;
export type Service = Compose["services"][string];

/** Parses a compose file. Throws a `ZodError` that names each place where it departs from the specification. */
export function parseCompose(text: string): Compose {
  const document = parse(text, { merge: true }) as Record<string, unknown>;
  const own = Object.entries(document).filter(([key]) => !key.startsWith("x-"));
  return compose.parse(Object.fromEntries(own));
}

/** Puts defaults (`${NAME:-default}`) in the place of variables that are not set, and values in the place of those that are. */
export function interpolate(value: string, env: Readonly<Record<string, string>> = {}): string {
  return value
    .replaceAll(/\$\{([A-Z0-9_]+)(?::-([^}]*))?\}/g, (_, name: string, other?: string) => env[name] || (other ?? ""))
    .replaceAll("$$", "$");
}

/** Names that are used but not declared, and declared but not used, in a compose file of the repository at `root`. */
export function composeProblems(root: string, file: Compose): string[] {
  const problems: string[] = [];
  const used = { networks: new Set<string>(), volumes: new Set<string>(), secrets: new Set<string>() };
  for (const [name, it] of Object.entries(file.services)) {
    if (it.build && !existsSync(join(root, it.build.context, it.build.dockerfile))) {
      problems.push(`${name}: ${it.build.dockerfile} does not exist`);
    }
    for (const network of it.networks) used.networks.add(network);
    for (const volume of it.volumes) {
      const from = volume.split(":")[0] ?? "";
      if (!from.startsWith("./")) used.volumes.add(from);
      else if (!existsSync(join(root, from))) problems.push(`${name}: mounts ${from}, which does not exist`);
    }
    for (const secret of it.secrets) used.secrets.add(secret);
    for (const [other, { condition: wanted }] of Object.entries(it.depends_on)) {
      const target = file.services[other];
      if (target?.profiles && !it.profiles)
        problems.push(`${name}: depends on ${other}, which starts only with a profile`);
      if (!target) problems.push(`${name}: depends on ${other}, which is no service`);
      else if (wanted === "service_healthy" && !target.healthcheck && !target.build) {
        problems.push(`${name}: waits for ${other} to be healthy, which has no health check`);
      } else if (!target.networks.some((network) => it.networks.includes(network))) {
        problems.push(`${name}: depends on ${other} but shares no network with it`);
      }
    }
    const text = JSON.stringify([it.environment, it.command, it.healthcheck]);
    for (const [, secret] of text.matchAll(/\/run\/secrets\/([A-Za-z0-9_.-]+)/g)) {
      if (secret !== undefined && !it.secrets.includes(secret))
        problems.push(`${name}: reads the secret ${secret}, which is not given to it`);
    }
    for (const secret of it.secrets) {
      if (!text.includes(`/run/secrets/${secret}`))
        problems.push(`${name}: is given the secret ${secret}, which it does not read`);
    }
  }
  for (const kind of ["networks", "volumes", "secrets"] as const) {
    const declared = new Set(Object.keys(file[kind]));
    for (const name of used[kind]) if (!declared.has(name)) problems.push(`${kind}: ${name} is used but not declared`);
    for (const name of declared) if (!used[kind].has(name)) problems.push(`${kind}: ${name} is declared but not used`);
  }
  return problems;
}
