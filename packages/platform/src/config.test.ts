import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { isXVaultError } from "@xvault/kernel";
import { afterAll, describe, expect, test } from "vitest";
import { defineConfig, loadConfig, secretSetting, setting } from "./config.ts";
import { port, text } from "./parsers.ts";
import { Secret } from "./secret.ts";

const CANARY = "canary-5f1c";
const directory = mkdtempSync(join(tmpdir(), "xvault-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function secretFile(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** What is wrong, a line each; fails when nothing is. */
function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (!isXVaultError(error, "CONFIG_INVALID")) throw error;
    return error.message.split("\n").slice(1);
  }
  throw new Error("the configuration was accepted");
}

const schema = defineConfig({
  port: setting("PORT", port.default(80)),
  name: setting("NAME", text),
  password: secretSetting("PASSWORD", text.min(8, "must have 8 characters or more")),
  spare: secretSetting("SPARE", text.optional()),
});

describe("configuration", () => {
  test("is parsed, with defaults, and secrets come wrapped", () => {
    const config = loadConfig(schema, { NAME: "n", PASSWORD: "12345678", SPARE: "" });
    expect(config.port).toBe(80);
    expect(config.name).toBe("n");
    expect(config.password).toBeInstanceOf(Secret);
    expect(config.password.reveal()).toBe("12345678");
    expect(config.spare).toBeUndefined();
  });

  test("names every problem at once", () => {
    const env = { PORT: "70000", PASSWORD: "short", SPARE_FILE: join(directory, "nowhere") };
    expect(problemsOf(() => loadConfig(schema, env))).toEqual([
      "PORT: must be a port number between 1 and 65535",
      "NAME: is not set",
      "PASSWORD: must have 8 characters or more",
      "SPARE_FILE: names a file that cannot be read (ENOENT)",
    ]);
  });

  test("never repeats a value in its problems", () => {
    const env = { PORT: CANARY, NAME: "", PASSWORD: CANARY.slice(-4), SPARE: CANARY, SPARE_FILE: CANARY };
    try {
      loadConfig(schema, env);
      expect.unreachable();
    } catch (error) {
      expect(inspect(error, { depth: 10 })).not.toContain("5f1c");
    }
  });

  test.each([
    ["12345678", "12345678"],
    ["12345678\n", "12345678"],
    ["12345678\r\n", "12345678"],
    ["12345678\n\n", "12345678\n"],
    [" 12345678 ", " 12345678 "],
  ])("reads a secret from a file that holds %j", (content, value) => {
    const config = loadConfig(schema, { NAME: "n", PASSWORD_FILE: secretFile("password", content) });
    expect(config.password.reveal()).toBe(value);
  });

  test("a secret that is set twice, and an empty file, are problems", () => {
    const path = secretFile("twice", "12345678");
    expect(problemsOf(() => loadConfig(schema, { NAME: "n", PASSWORD: "12345678", PASSWORD_FILE: path }))).toEqual([
      "PASSWORD: is set, and so is PASSWORD_FILE; set only one of them",
    ]);
    const empty = secretFile("empty", "\n");
    expect(problemsOf(() => loadConfig(schema, { NAME: "n", PASSWORD_FILE: empty }))).toEqual([
      "PASSWORD_FILE: names a file that is empty",
    ]);
  });

  test("only secrets have a twin", () => {
    expect(problemsOf(() => loadConfig(schema, { NAME_FILE: secretFile("n", "n"), PASSWORD: "12345678" }))).toEqual([
      "NAME: is not set",
    ]);
  });

  test("a variable that is wrong by itself is not blamed twice", () => {
    const pair = defineConfig(
      { a: setting("A", port.optional()), b: setting("B", text.optional()) },
      ({ a, b }, report) => {
        if (!a) report("A", "is not set, but B is");
        if (!b) report("B", "is not set, but A is");
      },
    );
    expect(problemsOf(() => loadConfig(pair, { A: "x" }))).toEqual([
      "A: must be a port number between 1 and 65535",
      "B: is not set, but A is",
    ]);
  });
});

test("a secret shows itself to nobody but reveal()", () => {
  const secret = new Secret(CANARY);
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true }),
    inspect(secret),
  ];
  expect(shown.join()).not.toContain(CANARY);
  expect(Object.keys(secret)).toEqual([]);
  expect(secret.reveal()).toBe(CANARY);
});
