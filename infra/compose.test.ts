import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadHubConfig, loadWorkerConfig } from "@xvault/platform";
import { afterAll, describe, expect, it } from "vitest";
import { composeProblems, parseCompose, type Service } from "./checks/compose.ts";
import { dockerfileProblems, parseDockerfile } from "./checks/dockerfile.ts";
import { componentOf, environment } from "./checks/environment.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const text = read("docker-compose.yml");
const compose = parseCompose(text);
const service = (name: string): Service => compose.services[name] ?? expect.unreachable(`no service ${name}`);
const WORKERS = Object.keys(compose.services).filter((name) => name.startsWith("worker-"));

/** Every variable that a loader looks at, found by letting it read. */
function namesReadBy(load: (env: Record<string, string | undefined>) => unknown): Set<string> {
  const names = new Set<string>();
  const env = new Proxy<Record<string, string | undefined>>(
    {},
    {
      get(_, name) {
        if (typeof name === "string") names.add(name);
      },
    },
  );
  expect(() => load(env)).toThrow(/configuration/i);
  return names;
}

const caddyNames = new Set(
  [...read("infra/proxy/Caddyfile").matchAll(/\{\$([A-Z0-9_]+)/g)].map(([, name]) => name ?? ""),
);
const known = {
  hub: namesReadBy(loadHubConfig),
  // XVAULT_HOME is read by its own function, once the rest is valid.
  worker: namesReadBy(loadWorkerConfig).add("XVAULT_HOME"),
  web: caddyNames.add("XDG_DATA_HOME").add("XDG_CONFIG_HOME"),
};
const kindOf = (name: string) => componentOf(name) as keyof typeof known;

const secrets = mkdtempSync(join(tmpdir(), "xvault-secrets-"));
execFileSync(join(ROOT, "infra/secrets.sh"), [secrets]);
afterAll(() => rmSync(secrets, { recursive: true, force: true }));

const environmentOf = (name: string) => environment(ROOT, compose, name, secrets);

describe("docker-compose.yml", () => {
  it("declares every network, volume, secret and service that it uses, and uses every one", () => {
    expect(composeProblems(ROOT, compose)).toEqual([]);
  });

  it.each([
    [
      "a secret that nobody declares",
      (t: string) => t.replace("  kek: { file: ./secrets/kek }\n", ""),
      /kek is used but not/,
    ],
    [
      "a secret that is not given",
      (t: string) => t.replace("[admin_password, kek,", "[admin_password,"),
      /kek, which is not given/,
    ],
    ["a missing service", (t: string) => t.replaceAll("\n  redis:\n", "\n  rediss:\n"), /redis, which is no service/],
    ["a missing Dockerfile", (t: string) => t.replace("hub.Dockerfile", "hubb.Dockerfile"), /does not exist/],
    ["a missing network", (t: string) => t.replace("  queue: { internal: true }\n", ""), /queue is used but not/],
    [
      "a file that is mounted and is not there",
      (t: string) => t.replace("./infra/garage/garage.toml:", "./infra/garage/garage.conf:"),
      /mounts .*garage.conf, which does not exist/,
    ],
    [
      "a service that waits for one which nobody starts",
      (t: string) =>
        t.replace(
          "      postgres: { condition:",
          "      garage: { condition: service_healthy }\n      postgres: { condition:",
        ),
      /starts only with a profile/,
    ],
    [
      "a volume left over",
      (t: string) => t.replace("  database: {}\n", "  database: {}\n  old: {}\n"),
      /old is declared but/,
    ],
  ])("would notice %s", (_, damage, problem) => {
    expect(damage(text)).not.toBe(text);
    expect(composeProblems(ROOT, parseCompose(damage(text))).join("\n")).toMatch(problem);
  });

  it("refuses a key that the specification does not know", () => {
    expect(() => parseCompose(text.replace("stop_grace_period: 30s", "stop_grace: 30s"))).toThrow(/stop_grace/);
  });

  it("mounts exactly the secrets that infra/secrets.sh makes", () => {
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      expect(file).toBe(`./secrets/${name}`);
      expect(readFileSync(join(secrets, name), "utf8"), name).not.toBe("");
    }
  });

  it("holds no secret: each comes by a file", () => {
    for (const [name, { environment }] of Object.entries(compose.services)) {
      const bare = Object.keys(environment).filter((key) =>
        /PASSWORD|TOKEN|KEK|DATABASE_URL|REDIS_URL|SECRET/.test(key),
      );
      expect(
        bare.filter((key) => !key.endsWith("_FILE")),
        name,
      ).toEqual([]);
    }
  });

  it("keeps workers away from the database, and the database and the queue away from the outside", () => {
    expect(WORKERS.length).toBeGreaterThanOrEqual(2);
    expect(service("postgres").networks).toEqual(["database"]);
    expect(service("redis").networks).toEqual(["queue"]);
    expect(service("garage").networks).toEqual(["storage"]);
    expect(compose.networks["database"]).toEqual({ internal: true });
    expect(compose.networks["queue"]).toEqual({ internal: true });
    expect(compose.networks["storage"]).toEqual({ internal: true });
    for (const name of [...WORKERS, "web"]) expect(service(name).networks, name).not.toContain("database");
    expect(service("hub").networks).toContain("database");
    const published = Object.keys(compose.services).filter((name) => service(name).ports.length > 0);
    expect(published).toEqual(["web"]);
  });

  it.each(Object.keys(compose.services).filter((name) => service(name).build))(
    "%s sets only variables that are read",
    (name) => {
      const unknown = Object.keys(service(name).environment).filter((key) => !known[kindOf(name)].has(key));
      expect(unknown).toEqual([]);
    },
  );

  it("starts nothing that is not needed unless it is asked for", () => {
    const optional = Object.keys(compose.services).filter((name) => service(name).profiles);
    expect(optional).toEqual(["garage"]);
    expect(service("garage").profiles).toEqual(["garage"]);
    // Which the environment names; Garage wants it in one place.
    expect(read("infra/garage/garage.toml")).not.toMatch(/^rpc_secret/m);
  });

  it("configures a hub that would start", () => {
    const env = environmentOf("hub");
    const config = loadHubConfig(env);
    expect(config).toMatchObject({ production: true, port: 8420, host: "0.0.0.0", queue: { kind: "redis" } });
    const { XVAULT_KEK_FILE: _, ...without } = env;
    expect(() => loadHubConfig(without)).toThrow(/XVAULT_KEK: is not set/);
  });

  it.each(WORKERS)("configures a %s that would start, and that clients reach below its own path", (name) => {
    const config = loadWorkerConfig(environmentOf(name));
    expect(config).toMatchObject({ name, production: true, allowPrivate: false, queue: { kind: "redis" } });
    expect(config.dataUrl).toBe(`http://localhost:8080/data/${name}`);
    expect(read("infra/proxy/Caddyfile")).toContain(`handle_path /data/${name}/*`);
    expect(service(name).volumes.map((volume) => volume.split(":")[1])).toEqual([config.home]);
    const { REDIS_URL_FILE: _, ...without } = environmentOf(name);
    expect(() => loadWorkerConfig(without)).toThrow(/QUEUE_URL/);
  });
});

describe.each(["hub", "worker", "web"] as const)("infra/docker/%s.Dockerfile", (name) => {
  const source = read(`infra/docker/${name}.Dockerfile`);
  const readByTheCLibrary = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];
  const names = new Set([...known[name], "NODE_ENV", "NODE_COMPILE_CACHE", ...readByTheCLibrary]);
  const problems = (content: string) => dockerfileProblems(ROOT, parseDockerfile(content), names);

  it("has its sources, its entry point and a health check, and does not run as root", () => {
    expect(problems(source)).toEqual([]);
  });

  it("would be refused as root, without a health check, or with a source that is not there", () => {
    expect(problems(source.replace(/^USER .*$/m, ""))).toContain("runs as root");
    expect(problems(source.replace(/^HEALTHCHECK/m, "LABEL"))).toContain("has no HEALTHCHECK");
    expect(problems(source.replace(/^USER/m, "COPY nowhere ./\nUSER"))).toContain(
      "copies nowhere, which does not exist",
    );
    expect(problems(source.replace(/^USER/m, "COPY LICENSE ./\nUSER"))).toContain(
      "copies LICENSE, which .dockerignore keeps out",
    );
    expect(problems(source.replace(/^USER/m, "ENV XVAULT_TYPO=1\nUSER"))).toContain(
      "sets XVAULT_TYPO, which nothing reads",
    );
  });
});
