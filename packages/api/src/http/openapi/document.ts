import { generateOpenApiDocument } from "trpc-to-openapi";
import type { AppRouter } from "../../routers/index.ts";
import { type RestRoute, restRoutes } from "../rest-routes.ts";
import { namedSchemas, tidySchemas } from "./components.ts";
import { headersOf, REPLAYED, SHARED_HEADERS, SHARED_PARAMETERS } from "./headers.ts";
import { otherProblem, problemResponses } from "./problems.ts";
import { sampler } from "./samples.ts";
import { errorsOf, takesIdempotencyKey } from "./statuses.ts";
import { TAGS } from "./tags.ts";
import type { ApiDocument, Operation, Parameter, Schema } from "./types.ts";

const ABOUT = `Everything that the dashboard can do, for programs.

**Who calls.** \`Authorization: Bearer xv_…\`, an API token: it belongs to one workspace, has scopes and expires. What a call needs stands
in its \`security\`. A session's access token does as well; it names the workspace in \`x-xvault-workspace\`.

**Pages.** Lists that can be long take \`limit\` and \`cursor\`; hand \`next_cursor\` back as \`cursor\` until it is null.

**Again.** Give a POST an \`Idempotency-Key\`, and it is carried out once, however often it is sent within 24 hours.

**Limits.** \`RateLimit\` says how many calls are left; 429 says in \`Retry-After\` how long to wait.

**Errors.** Problem documents (RFC 9457) with a stable \`code\`, a \`fix\` and a \`request_id\`. Each call names the statuses and codes that it
answers by what it is asked. What fails inside xVault has to do with no call in particular: that is the \`default\` of all of them. A success is
200, also where something was made. Answers may gain fields within v1: ignore what you do not know.`;

/** The OpenAPI 3.1 document of the REST API, made from the same zod contracts as everything else. */
export function openApiDocument(appRouter: AppRouter, version: string): ApiDocument {
  const generated = generateOpenApiDocument(appRouter, {
    title: "xVault",
    version,
    baseUrl: "/api/v1",
    defs: namedSchemas(),
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
  }) as unknown as ApiDocument;
  const document: ApiDocument = {
    ...generated,
    info: { title: "xVault", version, description: ABOUT },
    tags: [],
    components: {
      schemas: generated.components.schemas,
      responses: {},
      headers: SHARED_HEADERS,
      parameters: SHARED_PARAMETERS,
      examples: {},
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "An API token (xv_…). The roles named are its scopes." },
        session: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "The access token of a session." },
      },
    },
  };
  const routes = restRoutes(appRouter);
  for (const route of routes) describe(document, route);
  tidySchemas(document);
  for (const route of routes) exemplify(document, route);
  const names = new Set(routes.flatMap((route) => operationOf(document, route).tags ?? []));
  document.tags = [...names].map((name) => ({ name, ...(TAGS[name] ? { description: TAGS[name] } : {}) }));
  return document;
}

function operationOf(document: ApiDocument, route: RestRoute): Operation {
  const operation = document.paths[route.path]?.[route.method.toLowerCase()];
  if (!operation) throw new Error(`the document lacks ${route.method} ${route.path}`);
  return operation;
}

/** Who may call, what can be answered, and the headers both ways. */
function describe(document: ApiDocument, route: RestRoute): void {
  const operation = operationOf(document, route);
  const own = operation.parameters ?? [];
  const body = operation.requestBody !== undefined;
  const success = operation.responses["200"];
  if (success === undefined || "$ref" in success) throw new Error(`${route.procedure} has no output`);
  const json = success.content?.["application/json"];
  if (json) json.schema = asObject(json.schema);

  const replays = takesIdempotencyKey(route);
  operation.responses = {
    "200": { ...success, description: "Done.", headers: { ...headersOf(200), ...(replays ? REPLAYED : {}) } },
    ...problemResponses(document, errorsOf(route, own.length > 0 || body)),
    default: otherProblem(document),
  };
  operation.parameters = [
    ...own,
    ...(route.guard ? [{ $ref: "#/components/parameters/Workspace" }] : []),
    ...(replays ? [{ $ref: "#/components/parameters/IdempotencyKey" }] : []),
  ];
  sayWhoMay(operation, route);
}

/** A list that has no pages is answered as `{items}` too. See `rest.ts`. */
function asObject(schema: Schema): Schema {
  if (schema.type !== "array") return schema;
  return { type: "object", properties: { items: schema }, required: ["items"] };
}

function sayWhoMay(operation: Operation, { guard }: RestRoute): void {
  if (!guard) {
    operation.security = [];
    return;
  }
  const { role, scope, confirmed, platform } = guard;
  const scopes = scope === "any" || scope === null ? [] : [scope];
  operation.security = [...(scope === null ? [] : [{ token: scopes }]), { session: [] }];
  operation["x-required-scope"] = scope === "any" ? "" : scope;
  if (role) operation["x-required-role"] = role;
  if (confirmed) operation["x-password-confirmed"] = true;
  if (platform) operation["x-platform-admin"] = true;
  const words = [
    platform ? "Needs a platform admin; to everybody else there is no such thing." : "",
    role === null ? "" : `Needs the role ${role}${role === "owner" ? "" : " or above"}.`,
    scope === null ? "API tokens cannot do this." : scope === "any" ? "" : `A token needs the scope \`${scope}\`.`,
    confirmed ? "A session must have confirmed its password within the last 15 minutes." : "",
  ];
  operation.description = [operation.description, words.filter(Boolean).join(" ")].filter(Boolean).join("\n\n");
}

/** Gives parameters, body and answer an example each. */
function exemplify(document: ApiDocument, route: RestRoute): void {
  const operation = operationOf(document, route);
  const sample = sampler(document.components.schemas);
  for (const parameter of operation.parameters ?? []) {
    if (isParameter(parameter))
      parameter.example = sample({ properties: { [parameter.name]: parameter.schema } }, true);
    if (isParameter(parameter)) parameter.example = (parameter.example as Record<string, unknown>)[parameter.name];
  }
  const body = operation.requestBody?.content["application/json"];
  if (body) body.example = route.example ?? sample(body.schema, false);
  const success = operation.responses["200"];
  const json = success && "content" in success ? success.content?.["application/json"] : undefined;
  if (json) json.example = sample(json.schema, true);
}

function isParameter(parameter: Parameter | { $ref: string }): parameter is Parameter {
  return "schema" in parameter;
}
