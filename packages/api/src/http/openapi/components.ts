import * as C from "@xvault/contracts";
import { z } from "zod";
import type { ApiDocument, Schema } from "./types.ts";

const PREFIX = "#/components/schemas/";
const OUTPUT = "Output";

/** Every schema of the contracts that can stand in the document by its name: `jobSchema` as `Job`. A new one is there by itself. */
export function namedSchemas(): Record<string, z.ZodType> {
  const named: Record<string, z.ZodType> = {};
  for (const [name, schema] of Object.entries(C)) {
    if (!name.endsWith("Schema") || !(schema instanceof z.ZodType) || !isPlain(schema)) continue;
    named[`${name.charAt(0).toUpperCase()}${name.slice(1, -"Schema".length)}`] = schema;
  }
  return named;
}

/** False for schemas that turn what they read into something else: these have no one shape. */
function isPlain(schema: z.ZodType): boolean {
  try {
    z.toJSONSchema(schema, { io: "output" });
    return true;
  } catch {
    return false;
  }
}

/**
 * Tidies the generator's schemas. Answers may gain fields within v1, so nothing forbids further ones; then most schemas are the same in both
 * directions and need one name. What no operation refers to is left out.
 */
export function tidySchemas(document: ApiDocument): void {
  walk(document, (schema) => {
    if (schema.additionalProperties === false) delete schema.additionalProperties;
    if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
    if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  });
  const merged = sameBothWays(document.components.schemas);
  walk(document, (schema) => {
    const name = schema.$ref?.startsWith(PREFIX) ? schema.$ref.slice(PREFIX.length) : "";
    if (merged.has(name)) schema.$ref = PREFIX + name.slice(0, -OUTPUT.length);
  });
  document.components.schemas = used(document);
}

/** The names of the output schemas that say the same as their input schema, given that those they refer to do. */
function sameBothWays(schemas: Record<string, Schema>): Set<string> {
  const names = Object.keys(schemas).filter(
    (name) => name.endsWith(OUTPUT) && name.slice(0, -OUTPUT.length) in schemas,
  );
  const same = new Set(names);
  const text = (name: string) =>
    JSON.stringify(schemas[name]).replace(/"#\/components\/schemas\/(\w+)"/g, (ref, target: string) =>
      same.has(target) ? `"${PREFIX}${target.slice(0, -OUTPUT.length)}"` : ref,
    );
  for (let before = -1; before !== same.size;) {
    before = same.size;
    for (const name of same) if (text(name) !== text(name.slice(0, -OUTPUT.length))) same.delete(name);
  }
  return same;
}

function used(document: ApiDocument): Record<string, Schema> {
  const { schemas, ...others } = document.components;
  const found = new Set<string>();
  const look = (part: unknown) =>
    walk(part, ({ $ref }) => {
      const name = $ref?.startsWith(PREFIX) ? $ref.slice(PREFIX.length) : "";
      const target = schemas[name];
      if (target === undefined || found.has(name)) return;
      found.add(name);
      look(target);
    });
  look(document.paths);
  look(others);
  const names = Object.keys(schemas).filter((name) => found.has(name));
  return Object.fromEntries(names.toSorted().map((name) => [name, schemas[name] ?? {}]));
}

function walk(part: unknown, visit: (schema: Schema) => void): void {
  if (Array.isArray(part)) for (const one of part) walk(one, visit);
  else if (typeof part === "object" && part !== null) {
    visit(part);
    for (const one of Object.values(part)) walk(one, visit);
  }
}
