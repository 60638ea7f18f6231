import { ERROR_CODES, type ErrorCode } from "@xvault/kernel";
import { generateOpenApiDocument } from "trpc-to-openapi";
import type { AppRouter } from "../routers/index.ts";
import { type RestRoute, restRoutes } from "./rest-routes.ts";

type Document = ReturnType<typeof generateOpenApiDocument>;
type Operation = NonNullable<NonNullable<Document["paths"]>[string]["get"]>;

/** The errors that any call may answer, each shown with one example. */
const COMMON: ErrorCode[] = ["INPUT_INVALID", "NOT_FOUND", "CONFLICT", "RATE_LIMITED", "INTERNAL"];
const GUARDED: ErrorCode[] = ["UNAUTHENTICATED", "SCOPE_MISSING"];

/** The OpenAPI 3.1 document of the REST API, made from the same zod contracts as everything else. */
export function openApiDocument(appRouter: AppRouter, version: string): Document {
  const document = generateOpenApiDocument(appRouter, {
    title: "xVault",
    description:
      "Backups over a scoped API token. Errors are problem documents (RFC 9457) with a stable `code`, a `fix` and a `request_id`.",
    version,
    baseUrl: "/api/v1",
    securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "An API token (xv_…)." } },
  });
  for (const route of restRoutes(appRouter)) {
    const operation = document.paths?.[route.path]?.[methodOf(route)];
    if (operation) describe(operation, route);
  }
  const components = (document.components ??= {});
  // The generator's error schemas are replaced by ours.
  const schemas = Object.entries(components.schemas ?? {}).filter(([name]) => !name.startsWith("error."));
  components.schemas = { ...Object.fromEntries(schemas), Problem: PROBLEM_SCHEMA };
  return document;
}

function methodOf(route: RestRoute) {
  return route.method.toLowerCase() as "get" | "post" | "patch" | "put" | "delete";
}

function describe(operation: Operation, route: RestRoute): void {
  const codes = route.isProtected ? [...GUARDED, ...COMMON] : COMMON;
  const success = operation.responses?.["200"];
  operation.responses = {
    ...(success ? { "200": success } : {}),
    ...Object.fromEntries(codes.map((code) => [String(ERROR_CODES[code].status), problemResponse(code)])),
  };
  operation.security = route.isProtected ? [{ bearer: [] }] : [];
  if (route.isProtected) operation.parameters = [...(operation.parameters ?? []), WORKSPACE_HEADER];
}

const WORKSPACE_HEADER = {
  name: "x-xvault-workspace",
  in: "header",
  required: false,
  description: "The workspace meant. API tokens belong to one workspace and need no header.",
  schema: { type: "string", format: "uuid" },
} as const;

function problemResponse(code: ErrorCode) {
  const { status, message, fix, ...known } = ERROR_CODES[code];
  const example = {
    type: `urn:xvault:error:${code}`,
    title: message,
    status,
    detail: message,
    code,
    message,
    fix,
    retry: known.retry ?? false,
    request_id: "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10",
  };
  return {
    description: message,
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" }, example } },
  };
}

const PROBLEM_SCHEMA: NonNullable<NonNullable<Document["components"]>["schemas"]>[string] = {
  type: "object",
  description: "An error (RFC 9457). `code` never changes its meaning; `fix` says what to do.",
  required: ["type", "title", "status", "detail", "code", "message", "fix", "retry", "request_id"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", enum: Object.keys(ERROR_CODES) },
    message: { type: "string" },
    fix: { type: "string" },
    retry: { type: "boolean", description: "True when the same call may succeed later." },
    data: { type: "object", additionalProperties: true },
    request_id: { type: "string" },
  },
};
