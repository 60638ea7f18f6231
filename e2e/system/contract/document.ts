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
  /** Of an error's answer: by its code. */
  examples?: Record<string, unknown>;
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
  "x-platform-admin"?: boolean;
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  parameters: Parameter[];
  body: { schema: Schema; example: unknown } | null;
  responses: Record<string, Response>;
  /** The codes of the errors that it names, with their statuses as they stand: what is left to `default` is not among them. */
  codes: Map<string, number>;
  isPublic: boolean;
  /** Null: tokens may not; empty: any token. */
  scope: string | null;
  /** Only a session of a platform admin may; for others nothing is there. */
  platform: boolean;
}

export interface Contract {
  operations: Operation[];
  resolve<T extends object>(part: T | Reference): T;
  /** What is wrong with a value; nothing where the schema takes it. */
  faults(schema: Schema, value: unknown): string[];
  /** What was answered so far and was as described: an operation's id with a status, and with a code. */
  seen: Set<string>;
}

export interface Sent {
  path?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
  /** Sent in place of the body as it is. */
  raw?: string;
  headers?: Record<string, string>;
}

export interface Answered {
  status: number;
  headers: Headers;
  body: unknown;
  /** Where the answer is another than the document says. */
  faults: string[];
}

const PROBLEM = "application/problem+json";
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
  // Most answers share their schemas, and compiling one takes longer than the call.
  const compiled = new Map<Schema, ReturnType<typeof ajv.compile>>();
  const compile = (schema: Schema) => {
    const known = compiled.get(schema);
    if (known) return known;
    const whole = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi.json#/')) as object;
    const validate = ajv.compile(whole);
    compiled.set(schema, validate);
    return validate;
  };
  const faults = (schema: Schema, value: unknown): string[] => {
    const validate = compile(schema);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${error.instancePath || "the body"} ${error.message}`);
  };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]): Operation => {
      const body = raw.requestBody?.content["application/json"];
      const responses = Object.fromEntries(
        Object.entries(raw.responses).map(([status, one]) => [status, resolve<Response>(one)]),
      );
      return {
        id: raw.operationId,
        method: method.toUpperCase(),
        path,
        parameters: (raw.parameters ?? []).map((one) => resolve<Parameter>(one)),
        body: body ? { schema: resolve<Schema>(body.schema), example: body.example } : null,
        responses,
        codes: codesOf(responses),
        isPublic: raw.security?.length === 0,
        scope: raw["x-required-scope"] ?? null,
        platform: raw["x-platform-admin"] === true,
      };
    }),
  );
  return { operations, resolve, faults, seen: new Set() };
}

function codesOf(responses: Record<string, Response>): Map<string, number> {
  const codes = new Map<string, number>();
  for (const [status, { content }] of Object.entries(responses)) {
    if (!/^[45]\d\d$/.test(status)) continue;
    for (const code of Object.keys(content?.[PROBLEM]?.examples ?? {})) codes.set(code, Number(status));
  }
  return codes;
}

/** What an operation answers with a status: where it does not name it, only a failure inside is left to `default`. */
function describedAs({ responses }: Operation, status: number): [name: string, response: Response | undefined] {
  const name = String(status);
  return name in responses || status < 500 ? [name, responses[name]] : ["default", responses["default"]];
}

/** Carries an operation out and holds the answer against the document. */
export async function send(url: string, contract: Contract, operation: Operation, sent: Sent): Promise<Answered> {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(sent.path?.[name] ?? ""));
  const query = new URLSearchParams(sent.query ?? {}).toString();
  const payload = sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
  const answer = await fetch(`${url}/api/v1${path}${query === "" ? "" : `?${query}`}`, {
    method: operation.method,
    headers: { ...(payload === undefined ? {} : { "content-type": "application/json" }), ...sent.headers },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await answer.text();
  const { status, headers } = answer;
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  const [name, described] = describedAs(operation, status);
  const found: string[] = [];
  let body: unknown = text;
  if (!described) found.push(`the status ${status} is not described: ${text.slice(0, 300)}`);
  const media = described?.content?.[type];
  if (described && !media) found.push(`${status} came as ${type}: ${text.slice(0, 300)}`);
  if (media) {
    body = JSON.parse(text);
    found.push(...contract.faults(media.schema, body).map((fault) => `${status}: ${fault}`));
  }
  const code = codeOf(body);
  // A foreign page is turned away before its call is counted.
  const counted = code === "ORIGIN_DENIED" ? [] : ["RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining"];
  for (const header of ["x-request-id", ...counted, ...(status === 429 ? ["Retry-After"] : [])]) {
    if (!headers.has(header)) found.push(`${status} lacks the header ${header}`);
  }
  const requestId = (body as { request_id?: unknown } | null)?.request_id;
  if (code !== undefined && requestId !== headers.get("x-request-id")) found.push(`${status} has another request's id`);
  if (found.length === 0) {
    contract.seen.add(`${operation.id} ${name}`);
    if (code !== undefined) contract.seen.add(`${operation.id} ${code}`);
  }
  return { status, headers, body, faults: found };
}

/** The code of a problem; undefined for what is none. */
export function codeOf(body: unknown): string | undefined {
  const code = typeof body === "object" && body !== null && "code" in body ? body.code : undefined;
  return typeof code === "string" ? code : undefined;
}
