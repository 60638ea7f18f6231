import type { ApiDocument, Reference } from "./types.ts";

/** Headers of answers, by their name among the components. */
export const SHARED_HEADERS: ApiDocument["components"]["headers"] = {
  RequestId: {
    description: "The request's id: your own `x-request-id`, or a new one. It is on every log line.",
    schema: { type: "string" },
  },
  RateLimitPolicy: {
    description:
      'The limit: `"default";q=3000;w=60` is 3000 calls in 60 seconds (draft-ietf-httpapi-ratelimit-headers).',
    schema: { type: "string" },
  },
  RateLimit: {
    description: 'What is left of it: `"default";r=2990;t=41` is 2990 calls until it begins anew in 41 seconds.',
    schema: { type: "string" },
  },
  RateLimitLimit: { description: "Calls a minute.", schema: { type: "integer" } },
  RateLimitRemaining: { description: "Calls that are left.", schema: { type: "integer" } },
  RateLimitReset: { description: "When the count begins anew: seconds since 1970.", schema: { type: "integer" } },
  RetryAfter: { description: "Seconds to wait.", schema: { type: "integer" } },
  IdempotentReplayed: {
    description: "`true` where this is the stored answer of an earlier call with the same key.",
    schema: { type: "string", enum: ["true"] },
  },
};

export const SHARED_PARAMETERS: ApiDocument["components"]["parameters"] = {
  Workspace: {
    name: "x-xvault-workspace",
    in: "header",
    required: false,
    description: "The workspace meant. API tokens belong to one workspace and need no header.",
    schema: { type: "string", format: "uuid" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description:
      "A name of your choice for this call, such as a UUID: sent again with the same key within 24 hours, it is not carried out again but answered as before.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
    example: "8e03978e-40d5-43dd-bc93-6894a57f9324",
  },
};

const ref = (name: string): Reference => ({ $ref: `#/components/headers/${name}` });

/** The headers of an answer with this status. */
export function headersOf(status: number): Record<string, Reference> {
  return {
    "x-request-id": ref("RequestId"),
    "RateLimit-Policy": ref("RateLimitPolicy"),
    RateLimit: ref("RateLimit"),
    "X-RateLimit-Limit": ref("RateLimitLimit"),
    "X-RateLimit-Remaining": ref("RateLimitRemaining"),
    "X-RateLimit-Reset": ref("RateLimitReset"),
    ...(status === 429 ? { "Retry-After": ref("RetryAfter") } : {}),
  };
}

export const REPLAYED: Record<string, Reference> = { "Idempotent-Replayed": ref("IdempotentReplayed") };
