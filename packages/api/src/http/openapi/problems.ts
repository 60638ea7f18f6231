import { ERROR_CODES, type ErrorCode } from "@xvault/kernel";
import { headersOf } from "./headers.ts";
import type { ApiDocument, ErrorsByStatus, Reference, Schema } from "./types.ts";

const PROBLEM: Schema = {
  type: "object",
  description: "An error (RFC 9457). `code` never changes its meaning; `fix` says what to do.",
  required: ["type", "title", "status", "detail", "code", "message", "fix", "retry", "request_id"],
  properties: {
    type: { type: "string", description: "`urn:xvault:error:` and the code." },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", enum: Object.keys(ERROR_CODES) },
    message: { type: "string" },
    fix: { type: "string" },
    retry: { type: "boolean", description: "True when the same call may succeed later." },
    data: { type: "object", description: "What the error is about; never a secret.", additionalProperties: true },
    request_id: { type: "string" },
  },
};

/** The schema of the problems with one status: these codes and no other. */
function problemOf(status: number, codes: readonly ErrorCode[]): Schema {
  const narrowed: Schema = { properties: { status: { const: status }, code: { enum: [...codes] } } };
  return { allOf: [{ $ref: "#/components/schemas/Problem" }, narrowed] };
}

/** References to the answers of errors, which are put among the document's components: one for each set of codes that share a status. */
export function problemResponses(document: ApiDocument, errors: ErrorsByStatus): Record<string, Reference> {
  const { components } = document;
  components.schemas["Problem"] ??= PROBLEM;
  const answers: Record<string, Reference> = {};
  for (const [status, codes] of errors) {
    const name = codes.join(".");
    for (const code of codes) components.examples[code] ??= exampleOf(code);
    components.responses[name] ??= {
      description: codes.map((code) => `\`${code}\`: ${ERROR_CODES[code].message}`).join("\n\n"),
      headers: headersOf(status),
      content: {
        "application/problem+json": {
          schema: problemOf(status, codes),
          examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
        },
      },
    };
    answers[String(status)] = { $ref: `#/components/responses/${name}` };
  }
  return answers;
}

/**
 * A reference to the answer for everything that no call names. Any of them can meet a fault of xVault's own, or its database away, and none by
 * what it is asked: said with each it would tell nothing.
 */
export function otherProblem(document: ApiDocument): Reference {
  const { components } = document;
  components.examples["INTERNAL"] ??= exampleOf("INTERNAL");
  components.responses["Other"] ??= {
    description:
      "Whatever else goes wrong; `code` says what. Above all `INTERNAL` (500): something inside xVault failed, or a part of it is away. Every call can come to that, and none by what it is asked, so it stands here once for all of them.",
    headers: headersOf(500),
    content: {
      "application/problem+json": {
        schema: { $ref: "#/components/schemas/Problem" },
        examples: { INTERNAL: { $ref: "#/components/examples/INTERNAL" } },
      },
    },
  };
  return { $ref: "#/components/responses/Other" };
}

function exampleOf(code: ErrorCode): { summary: string; value: unknown } {
  const { status, message, fix, ...known } = ERROR_CODES[code];
  const value = {
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
  return { summary: message, value };
}
