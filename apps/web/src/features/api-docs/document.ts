/** The part of JSON Schema that the hub's document uses. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}
interface Reference {
  $ref: string;
}
export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  description?: string;
  schema: Schema;
  example?: unknown;
}
interface MediaType {
  schema: Schema;
  example?: unknown;
}
interface Response {
  description: string;
  content?: Record<string, MediaType>;
}
interface RawOperation {
  operationId: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: (Parameter | Reference)[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, Response | Reference>;
  "x-required-scope"?: string | null;
  "x-password-confirmed"?: boolean;
}
export interface ApiDocument {
  info: { version: string; description?: string };
  tags: { name: string; description?: string }[];
  paths: Record<string, Record<string, RawOperation>>;
  components: Record<string, Record<string, unknown>>;
}

/** One call of the REST API, with everything that it refers to in place but for the schemas' own references. */
export interface Operation {
  id: string;
  method: string;
  path: string;
  summary: string;
  description: string;
  tag: string;
  parameters: Parameter[];
  body: MediaType | null;
  answer: MediaType | null;
  /** Errors by status: each line a code and what it means. */
  errors: { status: string; lines: string[] }[];
  /** Removes something, or wants the password: asked about before it is sent. */
  dangerous: boolean;
  /** API tokens cannot do this. */
  sessionOnly: boolean;
}

/** A field of a schema as a line of an outline. */
export interface Field {
  name: string;
  depth: number;
  type: string;
  required: boolean;
  description: string;
}

const DEEPEST = 3;

function resolve<T>(document: ApiDocument, part: T | Reference): T {
  if (typeof part !== "object" || part === null || !("$ref" in part)) return part;
  const [kind = "", name = ""] = part.$ref.split("/").slice(-2);
  return (document.components[kind]?.[name] ?? {}) as T;
}

export function operationsOf(document: ApiDocument): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]): Operation => {
      const responses = Object.entries(raw.responses).map(
        ([status, response]) => [status, resolve<Response>(document, response)] as const,
      );
      const success = responses.find(([status]) => status === "200")?.[1];
      return {
        id: raw.operationId,
        method: method.toUpperCase(),
        path,
        summary: raw.summary ?? path,
        description: raw.description ?? "",
        tag: raw.tags?.[0] ?? "",
        parameters: (raw.parameters ?? []).map((one) => resolve<Parameter>(document, one)),
        body: raw.requestBody?.content["application/json"] ?? null,
        answer: success?.content?.["application/json"] ?? null,
        errors: responses
          .filter(([status]) => status === "default" || Number(status) >= 400)
          .map(([status, { description }]) => ({
            status: status === "default" ? "other" : status,
            lines: description.split("\n\n").map(plain),
          })),
        dangerous: method === "delete" || raw["x-password-confirmed"] === true,
        sessionOnly: raw["x-required-scope"] === null,
      };
    }),
  );
}

/** Text of the document without the marks of Markdown that it uses. */
export function plain(text: string): string {
  return text.replaceAll("`", "").replaceAll("**", "");
}

/** Text of the document in pieces, each by the element that it is for. */
export function pieces(text: string): { element: "span" | "code" | "strong"; text: string }[] {
  return text
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .filter(Boolean)
    .map((piece) => {
      if (piece.startsWith("`")) return { element: "code", text: piece.slice(1, -1) };
      if (piece.startsWith("**")) return { element: "strong", text: piece.slice(2, -2) };
      return { element: "span", text: piece };
    });
}

/** The fields of a schema, those of inner objects below them. */
export function outline(document: ApiDocument, schema: Schema, depth = 0): Field[] {
  const whole = inner(document, schema);
  return Object.entries(whole.properties ?? {}).flatMap(([name, property]) => [
    {
      name,
      depth,
      type: typeOf(document, property),
      required: whole.required?.includes(name) ?? false,
      description: property.description ?? resolve<Schema>(document, property).description ?? "",
    },
    ...(depth < DEEPEST ? outline(document, property, depth + 1) : []),
  ]);
}

/** The object that a schema is, or lists, or may be. */
function inner(document: ApiDocument, schema: Schema): Schema {
  const whole = resolve<Schema>(document, schema);
  if (whole.items) return inner(document, whole.items);
  const options = whole.oneOf ?? whole.anyOf;
  if (!options) return whole;
  return options.map((one) => inner(document, one)).find((one) => one.properties !== undefined) ?? whole;
}

export function typeOf(document: ApiDocument, schema: Schema): string {
  const whole = resolve<Schema>(document, schema);
  if (whole.enum) return whole.enum.map(String).join(" | ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.items) return `list of ${typeOf(document, whole.items)}`;
  const options = whole.oneOf ?? whole.anyOf;
  if (options) return [...new Set(options.map((one) => typeOf(document, one)))].join(" or ");
  const type = [whole.type ?? "any"].flat().join(" or ");
  return whole.format ? `${type} (${whole.format})` : type;
}
