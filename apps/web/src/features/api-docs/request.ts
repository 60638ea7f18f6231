import type { Operation, Parameter } from "./document.ts";

/** What somebody filled in, by the parameter's name. */
export type Values = Record<string, string>;

export interface ApiRequest {
  method: string;
  /** From the origin on. */
  url: string;
  headers: Record<string, string>;
  body: string | null;
}

/** The parameters that a form asks for. The workspace is the one that the page works in. */
export function askedFor({ parameters }: Operation): Parameter[] {
  return parameters.filter(({ name }) => name !== "x-xvault-workspace");
}

export function requestOf(operation: Operation, values: Values, body: string): ApiRequest {
  const given = (parameter: Parameter) => (values[parameter.name] ?? "").trim();
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const query = new URLSearchParams();
  const headers: Record<string, string> = operation.body === null ? {} : { "content-type": "application/json" };
  for (const parameter of askedFor(operation)) {
    const value = given(parameter);
    if (value === "" || parameter.in === "path") continue;
    if (parameter.in === "query") query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  const search = query.size === 0 ? "" : `?${query}`;
  return {
    method: operation.method,
    url: `/api/v1${path}${search}`,
    headers,
    body: operation.body === null ? null : body,
  };
}

/** The same call for a shell. The token is a variable there, so that none stands in a history. */
export function curlOf(request: ApiRequest, origin: string): string {
  const lines = [`curl -X ${request.method} ${quote(origin + request.url)}`];
  lines.push(`-H "Authorization: Bearer $XVAULT_TOKEN"`);
  for (const [name, value] of Object.entries(request.headers)) lines.push(`-H ${quote(`${name}: ${value}`)}`);
  if (request.body !== null) lines.push(`-d ${quote(request.body)}`);
  return lines.join(" \\\n  ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** JSON laid out for reading; anything else as it is. */
export function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
