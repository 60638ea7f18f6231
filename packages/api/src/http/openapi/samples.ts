import type { Schema } from "./types.ts";

const ID = "0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10";
const HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/** What a field of this name is likely to hold. Used where it fits the field's schema; a name that is not here gets something of its type. */
const BY_NAME: Record<string, readonly unknown[]> = {
  id: [ID],
  job_id: ["0199f2c4-8e02-7d31-8a55-7b1c2f40e911", 1],
  source_id: ["0199f2c4-91aa-7c43-b0f3-52d1a6c07e12", "my-laptop"],
  snapshot_id: ["0199f2c4-a3b7-7f08-9c6e-0d4b8e71f213"],
  worker_id: ["0199f2c4-b5d0-7e94-a1d7-c83a90b5e614"],
  user_id: ["0199f2c4-c7f6-7ab1-8f20-6e05d1c93a15"],
  credential_id: ["0199f2c4-da1c-7c5e-92b8-4f7a03e6d816"],
  workspace_id: ["0199f2c4-ec42-7d0b-a4c9-b1e85f2a7c17"],
  tenant_id: ["0199f2c4-ec42-7d0b-a4c9-b1e85f2a7c17"],
  short_id: ["9c6e0d4b"],
  source_name: ["mail-01"],
  name: ["mail-01"],
  label: ["Mail server"],
  email: ["ann@example.org"],
  password: ["correct horse battery staple"],
  path: ["backup/2024-01/data", "/srv/mail"],
  paths: [["/srv/mail"]],
  current_path: ["/srv/mail/inbox/1"],
  excludes: [["*.tmp"]],
  checksum: [HASH],
  sha256: [HASH],
  size_bytes: [1_024_000],
  plain_bytes: [2_310_144],
  host: ["mail-01.example.org"],
  port: [22],
  username: ["backup"],
  algorithm: ["ssh-ed25519"],
  fingerprint: ["SHA256:uNiVztksCsDhcc0u9e8BrJQ3A2cRJEkTzDJ8gKbCQvY"],
  recipient: [RECIPIENT],
  recipients: [[RECIPIENT]],
  cron: ["0 3 * * *"],
  timezone: ["Europe/Rome"],
  state: ["success", "complete", "active"],
  status: ["completed"],
  health: ["protected"],
  type: ["backup"],
  trigger: ["schedule"],
  step: ["publish"],
  level: ["info"],
  message: ["The snapshot is published."],
  action: ["backup.requested"],
  actor_kind: ["token"],
  actor_label: ["ann@example.org"],
  target_kind: ["source"],
  reason: ["No longer needed."],
  progress_percent: [100],
  percent: [100],
  prefix: ["xv_4mB7Qk2"],
  token: ["xv_4mB7Qk2…"],
  scopes: [["jobs:read", "backups:run"]],
  expires_in_days: [90],
  data_url: ["https://worker-1.example.org:8443"],
  ticket: ["eyJhbGciOiJFZERTQSJ9…"],
  url: ["https://example.org/hooks/xvault"],
  role: ["operator"],
  key_mode: ["platform"],
  filename: ["xvault-recovery-kit.txt"],
  version: ["0.1.0"],
  limit: [50],
  count: [5],
};

/** What a text with a pattern may be, where its name does not tell. */
const PATTERNED: readonly string[] = [HASH, "08:00", "/srv/mail"];

/** Makes an example of a schema: every field of an answer; of a request, what it must have. */
export function sampler(schemas: Readonly<Record<string, Schema>>): (schema: Schema, whole: boolean) => unknown {
  const resolve = (schema: Schema): Schema => {
    if (schema.$ref === undefined) return schema;
    const target = schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)];
    if (!target) throw new Error(`the document has no schema ${schema.$ref}`);
    return resolve(target);
  };

  function sample(given: Schema, name: string, whole: boolean): unknown {
    const schema = resolve(given);
    const likely = (BY_NAME[name] ?? []).find((value) => fits(value, schema, resolve));
    if (likely !== undefined) return likely;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0];
    const options = schema.oneOf ?? schema.anyOf;
    if (options) return sample(options.find((one) => resolve(one).type !== "null") ?? {}, name, whole);
    if (schema.allOf) return Object.assign({}, ...schema.allOf.map((one) => sample(one, name, whole)));
    return plain(schema, name, whole);
  }

  function plain(schema: Schema, name: string, whole: boolean): unknown {
    const type = [schema.type ?? []].flat().find((one) => one !== "null") ?? "object";
    if (type === "boolean") return schema.default ?? false;
    if (type === "integer" || type === "number") {
      if (typeof schema.default === "number") return schema.default;
      return Math.min(Math.max(schema.minimum ?? 1, 1), schema.maximum ?? Number.POSITIVE_INFINITY);
    }
    if (type === "string") return textFor(schema, name);
    if (type === "array") return schema.items ? [sample(schema.items, name.replace(/s$/, ""), whole)] : [];
    const fields = Object.entries(schema.properties ?? {}).filter(
      ([field]) => whole || schema.required?.includes(field) === true,
    );
    return Object.fromEntries(fields.map(([field, one]) => [field, sample(one, field, whole)]));
  }
  return (schema, whole) => sample(schema, "", whole);
}

function textFor(schema: Schema, name: string): string {
  if (typeof schema.default === "string") return schema.default;
  if (schema.format === "uuid") return ID;
  if (schema.format === "date-time") return "2026-11-28T03:00:12.000Z";
  if (schema.format === "email") return "ann@example.org";
  if (schema.format === "uri") return "https://example.org/";
  const patterned = PATTERNED.find((one) => schema.pattern !== undefined && new RegExp(schema.pattern).test(one));
  if (patterned !== undefined) return patterned;
  const text = name === "" ? "text" : name.replaceAll("_", " ");
  return text.padEnd(schema.minLength ?? 0, ".").slice(0, schema.maxLength ?? text.length + (schema.minLength ?? 0));
}

/** Whether a likely value is one that the schema takes, as far as types, enums, patterns and limits go. */
function fits(value: unknown, schema: Schema, resolve: (schema: Schema) => Schema): boolean {
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.some((one) => fits(value, resolve(one), resolve));
  if (schema.const !== undefined) return schema.const === value;
  if (schema.enum) return schema.enum.includes(value);
  const types = [schema.type ?? []].flat();
  if (Array.isArray(value)) {
    const { items } = schema;
    return types.includes("array") && items !== undefined && value.every((one) => fits(one, resolve(items), resolve));
  }
  if (typeof value === "number") {
    const numeric = types.includes("number") || (types.includes("integer") && Number.isInteger(value));
    return numeric && value >= (schema.minimum ?? value) && value <= (schema.maximum ?? value);
  }
  if (typeof value !== "string" || !types.includes("string")) return false;
  const long = value.length >= (schema.minLength ?? 0) && value.length <= (schema.maxLength ?? value.length);
  const shaped = schema.pattern === undefined || new RegExp(schema.pattern).test(value);
  return long && shaped && schema.format !== "date-time";
}
