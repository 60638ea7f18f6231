import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { appRouter } from "../../routers/index.ts";
import { restRoutes } from "../rest-routes.ts";
import { openApiDocument } from "./document.ts";
import type { MediaType, Operation, Parameter, Response } from "./types.ts";

const document = openApiDocument(appRouter, "1.2.3");
const { components } = document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })),
);

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: "openapi.json", components });
const check = (schema: object, value: unknown) => {
  const whole = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi.json#/')) as object;
  const validate = ajv.compile(whole);
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
};

const parametersOf = (operation: Operation): Parameter[] =>
  (operation.parameters ?? []).map((one) => {
    if ("schema" in one) return one;
    const found = components.parameters[one.$ref.split("/").at(-1) ?? ""];
    if (!found) throw new Error(`there is no ${one.$ref}`);
    return found;
  });
const responseOf = (response: Operation["responses"][string]): Response => {
  if (!("$ref" in response)) return response;
  const found = components.responses[response.$ref.split("/").at(-1) ?? ""];
  if (!found) throw new Error(`there is no ${response.$ref}`);
  return found;
};
const jsonOf = (content: Record<string, MediaType> | undefined): MediaType => {
  const found = content?.["application/json"];
  if (!found) throw new Error("there is no JSON");
  return found;
};

test("every route is in it, described, under a tag that is described, with an id of its own", () => {
  const routes = restRoutes(appRouter);
  expect(operations.map(({ name }) => name).toSorted()).toEqual(
    routes.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  for (const { name, operation } of operations) {
    expect(operation.summary, name).toMatch(/^[A-Z]/);
    expect(operation.tags, name).toHaveLength(1);
  }
  expect(document.tags.filter((tag) => tag.description === undefined)).toEqual([]);
  expect(document.servers).toEqual([{ url: "/api/v1" }]);
});

test("every example is one that its own schema takes", () => {
  const wrong: string[] = [];
  const look = (where: string, schema: object, value: unknown) =>
    wrong.push(
      ...check(schema, value).map(
        (what) => `${where}: ${what}; say a likely value in samples.ts, or an example in the route's meta`,
      ),
    );
  for (const { name, operation } of operations) {
    for (const { name: parameter, schema, example } of parametersOf(operation)) {
      if (example !== undefined) look(`${name} ?${parameter}`, schema, example);
    }
    if (operation.requestBody) {
      const { schema, example } = jsonOf(operation.requestBody.content);
      look(`${name}, request`, schema, example);
    }
    const { schema, example } = jsonOf(responseOf(operation.responses["200"] ?? { description: "" }).content);
    look(`${name}, answer`, schema, example);
  }
  for (const [code, { value }] of Object.entries(components.examples)) {
    look(code, { $ref: "#/components/schemas/Problem" }, value);
  }
  expect(wrong).toEqual([]);
});

test("each operation says who may call it, and names the errors that follow", () => {
  for (const { name, path, operation } of operations) {
    const isPublic = operation.security?.length === 0;
    const statuses = Object.keys(operation.responses);
    expect(statuses, name).toEqual(expect.arrayContaining(["200", "403", "429", "default"]));
    // What fails inside xVault has to do with no call: it is said once.
    expect(statuses, name).not.toContain("500");
    expect(statuses.includes("413"), name).toBe(!name.startsWith("GET "));
    expect(statuses.includes("401"), name).toBe(!isPublic || path === "/auth/token");
    if (path.includes("{")) expect(statuses, name).toEqual(expect.arrayContaining(["400", "404"]));
    const tokens = operation.security?.flatMap(({ token }) => (token === undefined ? [] : [token])) ?? [];
    if (operation["x-required-scope"]) expect(tokens, name).toEqual([[operation["x-required-scope"]]]);
    if (operation["x-required-scope"] === null) expect(tokens, name).toEqual([]);
  }
});

test("every POST in a workspace takes an idempotency key, and no other call does", () => {
  for (const { name, operation } of operations) {
    const takes = parametersOf(operation).some((parameter) => parameter.name === "Idempotency-Key");
    const expected = name.startsWith("POST ") && !/^POST \/(auth|platform)\//.test(name);
    expect(takes, name).toBe(expected);
    const statuses = Object.keys(operation.responses);
    if (expected) expect(statuses, name).toEqual(expect.arrayContaining(["409", "422"]));
    else expect(statuses, name).not.toContain("422");
  }
});

test("an error's answer takes the codes that it names and no others", () => {
  const { schema } = components.responses["NOT_FOUND"]?.content?.["application/problem+json"] ?? {};
  const example = components.examples["NOT_FOUND"]?.value as object;
  expect(check(schema ?? {}, example)).toEqual([]);
  expect(check(schema ?? {}, { ...example, code: "CONFLICT" })).not.toEqual([]);
  expect(check(schema ?? {}, { ...example, status: 400 })).not.toEqual([]);
});

test("what is said more than once is said by reference", () => {
  const text = JSON.stringify(document);
  expect(Object.keys(components.schemas)).toEqual(expect.arrayContaining(["Job", "Package", "Problem", "Source"]));
  expect(components.schemas["JobOutput"]).toBeUndefined();
  for (const [, name = ""] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(components.schemas, name).toHaveProperty(name);
  }
  expect(text).not.toContain("error.");
  expect(text.length / operations.length).toBeLessThan(4500);
});
