import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readEnvironment } from "./environment.ts";

describe("readEnvironment", () => {
  it("reads the token from a file just as well", () => {
    const file = join(mkdtempSync(join(tmpdir(), "xvault-env-")), "token");
    writeFileSync(file, "xv_abc\n");
    expect(readEnvironment({ XVAULT_TOKEN_FILE: file, HOME: "/home/me" })).toMatchObject({
      token: "xv_abc",
      url: undefined,
      configFile: "/home/me/.config/xvault/config.json",
      debug: false,
    });
    expect(() => readEnvironment({ XVAULT_TOKEN_FILE: file, XVAULT_TOKEN: "x" })).toThrow(/Both/);
    expect(() => readEnvironment({ XVAULT_TOKEN_FILE: `${file}-not` })).toThrow(/cannot be read/);
  });

  it("keeps the sign-in under XDG_CONFIG_HOME, and takes an empty variable for none", () => {
    const environment = readEnvironment({ XDG_CONFIG_HOME: "/cfg", XVAULT_URL: "", XVAULT_DEBUG: "1" });
    expect(environment).toEqual({
      url: undefined,
      token: undefined,
      bucketKey: { id: undefined, secret: undefined, sessionToken: undefined },
      configFile: "/cfg/xvault/config.json",
      debug: true,
    });
  });
});
