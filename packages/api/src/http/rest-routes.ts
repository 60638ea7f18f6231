import { type ErrorCode, XVaultError } from "@xvault/kernel";
import { z } from "zod";
import type { AppRouter } from "../routers/index.ts";
import type { ApiMeta, Guard } from "../trpc.ts";

/** A procedure that the REST API offers. */
export interface RestRoute {
  /** Of the procedure in the router, such as `sources.get`. */
  procedure: string;
  type: "query" | "mutation";
  method: string;
  /** With parameters in braces: `/sources/{id}`. */
  path: string;
  /** Null where anybody may call. */
  guard: Guard | null;
  /** The errors of its own that it names. */
  errors: readonly ErrorCode[];
  /** Of its body. */
  example: Record<string, unknown> | undefined;
  input: z.ZodObject | null;
}

/** Every procedure of the router whose meta names a REST path. */
export function restRoutes(appRouter: AppRouter): RestRoute[] {
  const routes: RestRoute[] = [];
  for (const [procedure, { _def }] of Object.entries(appRouter._def.procedures as unknown as Procedures)) {
    const { openapi, guard, errors, example } = (_def.meta ?? {}) as ApiMeta;
    if (!openapi || _def.type === "subscription") continue;
    const input = _def.inputs[0];
    routes.push({
      procedure,
      type: _def.type,
      method: openapi.method,
      path: openapi.path,
      guard: guard ?? null,
      errors: errors ?? [],
      example,
      input: input instanceof z.ZodObject ? input : null,
    });
  }
  return routes;
}

type Procedures = Record<
  string,
  { _def: { type: "query" | "mutation" | "subscription"; meta: unknown; inputs: unknown[] } }
>;

/** Finds the route for a request. */
export type RouteFinder = (method: string, path: string) => { route: RestRoute; params: Record<string, string> } | null;

/** Literal path parts win over parameters, so `/jobs/latest` would be found before `/jobs/{id}`. */
export function routeFinder(routes: readonly RestRoute[]): RouteFinder {
  const table = routes
    .map((route) => ({ route, parts: route.path.split("/").slice(1) }))
    .sort((a, b) => parameterCount(a.parts) - parameterCount(b.parts));
  return (method, path) => {
    const given = path.replace(/\/$/, "").split("/").slice(1);
    for (const { route, parts } of table) {
      if (route.method !== method || parts.length !== given.length) continue;
      const params = match(parts, given);
      if (params) return { route, params };
    }
    return null;
  };
}

function parameterCount(parts: readonly string[]): number {
  return parts.filter((part) => part.startsWith("{")).length;
}

function match(parts: readonly string[], given: readonly string[]): Record<string, string> | null {
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const value = given[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) {
      if (part !== value) return null;
    } else {
      if (value === "") return null;
      params[name] = decode(value);
    }
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new XVaultError("INPUT_INVALID", "The path is not valid.");
  }
}

/** Query values are text; this gives each the kind that its field in the schema has. What does not fit stays text, for zod to refuse. */
export function coerceQuery(
  query: Readonly<Record<string, unknown>>,
  schema: z.ZodObject | null,
): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query)) {
    const field: unknown = schema?.shape[name];
    input[name] = field === undefined ? value : coerce(value, kindOf(field));
  }
  return input;
}

function coerce(value: unknown, kind: string): unknown {
  if (kind === "array") return Array.isArray(value) ? value : [value];
  if (typeof value !== "string") return value;
  if (kind === "number" && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (kind === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

/** The kind of value below `optional`, `default` and `nullable`. */
function kindOf(schema: unknown): string {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return kindOf(schema.unwrap());
  }
  return schema instanceof z.ZodType ? schema.def.type : "unknown";
}
