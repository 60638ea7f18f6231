import { XVaultError } from "@xvault/kernel";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { EXIT, exitCodeOf, UsageError } from "./exit-codes.ts";
import { createOutput, printable, showFailure, table } from "./output.ts";
import type { World } from "./world.ts";

function world(debug = false) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const all = (stream: PassThrough) => String(stream.read() ?? "");
  const made = {
    environment: { url: undefined, token: undefined, configFile: "", debug },
    stdout,
    stderr,
  } as unknown as World;
  return { world: made, out: () => all(stdout), err: () => all(stderr) };
}

describe("failures", () => {
  const failure = new XVaultError("KEY_MISMATCH", undefined, {
    cause: new Error("AGE-SECRET"),
    data: { request_id: "r-1" },
  });

  it("tell code, cause, fix and request id on stderr, and neither a stack nor the cause", () => {
    const { world: at, out, err } = world();
    showFailure(at, failure, { json: false });
    const text = err();
    expect(text).toMatch(/^error KEY_MISMATCH: None of the identities .*\nfix: .*\nrequest id: r-1\n$/);
    expect(text).not.toContain("AGE-SECRET");
    expect(out()).toBe("");
  });

  it("are one line of JSON for programs", () => {
    const { world: at, out, err } = world();
    showFailure(at, failure, { json: true });
    expect(JSON.parse(out())).toMatchObject({
      message_type: "error",
      code: "KEY_MISMATCH",
      retry: false,
      request_id: "r-1",
    });
    expect(err()).toBe("");
  });

  it("of an unexpected kind hide what they say, unless debugging", () => {
    const plain = world();
    showFailure(plain.world, new TypeError("password hunter2"), { json: false });
    const text = plain.err();
    expect(text).toContain("error INTERNAL");
    expect(text).not.toContain("hunter2");
    const debugging = world(true);
    showFailure(debugging.world, new TypeError("password hunter2"), { json: false });
    expect(debugging.err()).toContain("output.test.ts");
  });

  it("have the exit codes that users of backup programs know", () => {
    expect(exitCodeOf(new XVaultError("NOT_FOUND"))).toBe(10);
    expect(exitCodeOf(new XVaultError("CONFLICT"))).toBe(11);
    expect(exitCodeOf(failure)).toBe(12);
    expect(exitCodeOf(new XVaultError("CANCELLED"))).toBe(130);
    expect(exitCodeOf(new XVaultError("HOST_UNREACHABLE"))).toBe(EXIT.failed);
    expect(exitCodeOf(new UsageError("x"))).toBe(EXIT.usage);
    expect(exitCodeOf(new Error("x"))).toBe(EXIT.failed);
  });
});

describe("output", () => {
  it("keeps JSON lines apart from what people read", () => {
    const people = world();
    const text = createOutput(people.world, false);
    text.line("a result");
    text.message("thing", { id: 1 });
    text.note("a remark");
    expect(people.out()).toBe("a result\n");
    expect(people.err()).toBe("a remark\n");

    const programs = world();
    const json = createOutput(programs.world, true);
    json.line("a result");
    json.message("thing", { id: 1 });
    json.note("a remark");
    json.warn("look");
    expect(programs.out()).toBe('{"message_type":"thing","id":1}\n{"message_type":"warning","message":"look"}\n');
    expect(programs.err()).toBe("");
  });

  it("lets no name from a backup speak to the terminal", () => {
    expect(printable("a\u001B[2Jb\u009Bc\rd\u202Ee")).toBe("a\\x1b[2Jb\\x9bc\\x0dd\\u202ee");
    expect(printable("größe\nzweite")).toBe("größe\nzweite");
    expect(table(["NAME"], [["a\nb\u0007"]])).toBe("NAME\na\\nb\\x07");
  });

  it("aligns columns", () => {
    expect(
      table(
        ["ID", "SIZE", "NAME"],
        [
          ["1", "10 B", "x"],
          ["22", "5 B", "yy"],
        ],
        [1],
      ),
    ).toBe("ID  SIZE  NAME\n1   10 B  x\n22   5 B  yy");
  });
});
