import { describe, expect, it } from "vitest";
import { UsageError } from "../exit-codes.ts";
import { findByName, parseInnerPath, parseSnapshotRef } from "./snapshot-ref.ts";

describe("parseSnapshotRef", () => {
  const id = "0198c5a0-0000-7000-8000-00001a2b3c4d";
  it.each([
    ["latest", { kind: "latest", source: null }, "/"],
    ["latest:/etc", { kind: "latest", source: null }, "/etc"],
    ["latest@web-01:/etc/a:b", { kind: "latest", source: "web-01" }, "/etc/a:b"],
    ["latest@web:01:/etc", { kind: "latest", source: "web:01" }, "/etc"],
    ["1a2b3c4d", { kind: "id", ending: "1a2b3c4d" }, "/"],
    ["1A2B3C4D:/Srv", { kind: "id", ending: "1a2b3c4d" }, "/Srv"],
    ["1a2b3c4d:", { kind: "id", ending: "1a2b3c4d" }, "/"],
    [`${id}:b64:c3J26Q==`, { kind: "id", ending: id }, "b64:c3J26Q=="],
  ])("reads %s", (text, name, path) => {
    expect(parseSnapshotRef(text)).toEqual({ name, path });
  });

  it.each(["", "web-01", "latest@", "1a2", "1a2b3c4d/etc", "LATEST", "%"])("refuses '%s'", (text) => {
    expect(() => parseSnapshotRef(text)).toThrow(UsageError);
  });
});

describe("parseInnerPath", () => {
  it("takes absolute paths and those in base64", () => {
    expect(parseInnerPath("/etc")).toBe("/etc");
    expect(parseInnerPath("b64:6Q==")).toBe("b64:6Q==");
    expect(() => parseInnerPath("etc")).toThrow(UsageError);
  });
});

describe("findByName", () => {
  const things = [
    { id: "0000-aaaa1111", name: "web" },
    { id: "0000-bbbb2222", name: "db" },
    { id: "0000-cccc2222", name: "db" },
  ];
  const find = (name: string) =>
    findByName(things, name, {
      kind: "source",
      list: "xvault source ls",
      ids: (one) => [one.id],
      name: (one) => one.name,
    });

  it("finds by id, by name and by the end of the id", () => {
    expect(find("0000-bbbb2222")).toBe(things[1]);
    expect(find("web")).toBe(things[0]);
    expect(find("aaaa1111")).toBe(things[0]);
  });

  it("never picks one of several", () => {
    expect(() => find("db")).toThrow(/More than one source/);
    expect(() => find("2222")).toThrow(/More than one source/);
    expect(() => find("nothing")).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  });
});
