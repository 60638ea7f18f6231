import { describe, expect, it } from "vitest";
import { type ApiDocument, operationsOf, outline, typeOf } from "./document.ts";
import { askedFor, curlOf, readable, requestOf } from "./request.ts";

const document: ApiDocument = {
  info: { version: "1" },
  tags: [],
  paths: {
    "/things/{id}": {
      post: {
        operationId: "things-make",
        summary: "Make",
        tags: ["Things"],
        parameters: [
          { name: "id", in: "path", required: true, schema: { type: "string" } },
          { name: "limit", in: "query", schema: { type: "integer" } },
          { $ref: "#/components/parameters/Key" },
          { name: "x-xvault-workspace", in: "header", schema: { type: "string" } },
        ],
        requestBody: {
          content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" }, example: {} } },
        },
        responses: {
          "200": { description: "Done." },
          "404": { $ref: "#/components/responses/NOT_FOUND" },
          default: { description: "Whatever else goes wrong." },
        },
        "x-required-scope": null,
      },
      delete: { operationId: "things-remove", responses: {}, "x-required-scope": "things:write" },
    },
  },
  components: {
    parameters: { Key: { name: "Idempotency-Key", in: "header", schema: { type: "string" } } },
    responses: { NOT_FOUND: { description: "`NOT_FOUND`: No such thing.\n\n`OTHER`: Another." } },
    schemas: {
      Kind: { type: "string", enum: ["a", "b"] },
      Thing: {
        type: "object",
        required: ["kind"],
        properties: {
          kind: { $ref: "#/components/schemas/Kind" },
          parts: { type: "array", items: { $ref: "#/components/schemas/Part" } },
          when: { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }] },
        },
      },
      Part: { type: "object", properties: { size: { type: "integer" } } },
    },
  },
};
const [make, remove] = operationsOf(document);
if (!make || !remove) throw new Error("two operations were described");

describe("the document", () => {
  it("gives operations with what they refer to in place", () => {
    expect(make.errors).toEqual([
      { status: "404", lines: ["NOT_FOUND: No such thing.", "OTHER: Another."] },
      { status: "other", lines: ["Whatever else goes wrong."] },
    ]);
    expect([make.sessionOnly, make.dangerous]).toEqual([true, false]);
    expect([remove.sessionOnly, remove.dangerous]).toEqual([false, true]);
    expect(askedFor(make).map(({ name }) => name)).toEqual(["id", "limit", "Idempotency-Key"]);
  });

  it("outlines a schema with inner objects below their field", () => {
    const rows = outline(document, { $ref: "#/components/schemas/Thing" });
    expect(rows.map(({ name, depth, type, required }) => [name, depth, type, required])).toEqual([
      ["kind", 0, "a | b", true],
      ["parts", 0, "list of object", false],
      ["size", 1, "integer", false],
      ["when", 0, "string (date-time) or null", false],
    ]);
    expect(typeOf(document, {})).toBe("any");
  });
});

describe("a request", () => {
  it("puts each value where it belongs, and leaves out what is empty", () => {
    expect(requestOf(make, { id: "a/b", limit: "5", "Idempotency-Key": "k" }, "{}")).toEqual({
      method: "POST",
      url: "/api/v1/things/a%2Fb?limit=5",
      headers: { "content-type": "application/json", "Idempotency-Key": "k" },
      body: "{}",
    });
    expect(requestOf(remove, { id: "x" }, "")).toMatchObject({ url: "/api/v1/things/x", headers: {}, body: null });
  });

  it("is a line for a shell that no value can break out of, without a token in it", () => {
    const line = curlOf(requestOf(make, { id: "1", limit: "" }, `{"name":"Ann's"}`), "http://localhost:8420");
    expect(line).toBe(
      [
        "curl -X POST 'http://localhost:8420/api/v1/things/1'",
        `-H "Authorization: Bearer $XVAULT_TOKEN"`,
        "-H 'content-type: application/json'",
        `-d '{"name":"Ann'\\''s"}'`,
      ].join(" \\\n  "),
    );
    expect(readable('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(readable("nothing")).toBe("nothing");
  });
});
