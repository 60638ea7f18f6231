// The REST API as its own document describes it, and a client that knows nothing else of it.
import { Ajv2020 } from "ajv/dist/2020.js";

interface Reference {
  $ref: string;
}
export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
}
interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  schema: Schema;
  example?: unknown;
}
interface MediaType {
  schema: Schema;
  example?: unknown;
}
interface Response {
  headers?: Record<string, unknown>;
  content?: Record<string, MediaType>;
}
interface RawOperation {
  operationId: string;
  parameters?: (Parameter | Reference)[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, Response | Reference>;
  security?: Record<string, string[]>[];
  "x-required-scope"?: string | null;
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  parameters: Parameter[];
  body: { schema: Schema; example: unknown } | null;
  responses: Record<string, Response>;
  isPublic: boolean;
  /** Null: tokens may not; empty: any token. */
  scope: string | null;
}

export interface Contract {
  operations: Operation[];
  resolve<T extends object>(part: T | Reference): T;
  /** What is wrong with a value; nothing where the schema takes it. */
  faults(schema: Schema, value: unknown): string[];
}

export interface Sent {
  path?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answered {
  status: number;
  headers: Headers;
  body: unknown;
  /** Where the answer is another than the document says. */
  faults: string[];
}

const FORMATS = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  email: /^[^@\s]+@[^@\s]+$/,
  uri: (text: string) => URL.canParse(text),
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
};

/** Reads the hub's document. */
export async function readContract(url: string): Promise<Contract> {
  const answer = await fetch(`${url}/api/v1/openapi.json`);
  const document = (await answer.json()) as {
    paths: Record<string, Record<string, RawOperation>>;
    components: Record<string, Record<string, object>>;
  };
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: FORMATS });
  ajv.addSchema({ $id: "openapi.json", components: document.components });

  const resolve = <T extends object>(part: T | Reference): T => {
    if (!("$ref" in part) || typeof part.$ref !== "string") return part as T;
    const [kind = "", name = ""] = part.$ref.split("/").slice(-2);
    const found = document.components[kind]?.[name];
    if (!found) throw new Error(`the document has no ${part.$ref}`);
    return found as T;
  };
  const faults = (schema: Schema, value: unknown): string[] => {
    const whole = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi.json#/')) as object;
    const validate = ajv.compile(whole);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${error.instancePath || "the body"} ${error.message}`);
  };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]): Operation => {
      const body = raw.requestBody?.content["application/json"];
      return {
        id: raw.operationId,
        method: method.toUpperCase(),
        path,
        parameters: (raw.parameters ?? []).map((one) => resolve<Parameter>(one)),
        body: body ? { schema: resolve<Schema>(body.schema), example: body.example } : null,
        responses: Object.fromEntries(
          Object.entries(raw.responses).map(([status, one]) => [status, resolve<Response>(one)]),
        ),
        isPublic: raw.security?.length === 0,
        scope: raw["x-required-scope"] ?? null,
      };
    }),
  );
  return { operations, resolve, faults };
}

/** Carries an operation out and holds the answer against the document. */
export async function send(url: string, contract: Contract, operation: Operation, sent: Sent): Promise<Answered> {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(sent.path?.[name] ?? ""));
  const query = new URLSearchParams(sent.query ?? {}).toString();
  const answer = await fetch(`${url}/api/v1${path}${query === "" ? "" : `?${query}`}`, {
    method: operation.method,
    headers: { ...(sent.body === undefined ? {} : { "content-type": "application/json" }), ...sent.headers },
    ...(sent.body === undefined ? {} : { body: JSON.stringify(sent.body) }),
  });
  const text = await answer.text();
  const { status, headers } = answer;
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  const described = operation.responses[String(status)];
  const found: string[] = [];
  let body: unknown = text;
  if (!described) found.push(`the status ${status} is not described: ${text.slice(0, 300)}`);
  const media = described?.content?.[type];
  if (described && !media) found.push(`${status} came as ${type}: ${text.slice(0, 300)}`);
  if (media) {
    body = JSON.parse(text);
    found.push(...contract.faults(media.schema, body).map((fault) => `${status}: ${fault}`));
  }
  for (const name of ["x-request-id", "RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining"]) {
    if (!headers.has(name)) found.push(`${status} lacks the header ${name}`);
  }
  return { status, headers, body, faults: found };
}
