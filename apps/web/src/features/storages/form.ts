import {
  createStorageInput,
  type StorageKind,
  type StoragePlace,
  type StorageSecret,
  type Tier,
} from "@xvault/contracts";
import { type ParameterKind, REMOTE_TYPES } from "@xvault/storage/remotes";

/** What is typed to add a storage, of whichever kind. */
export interface StorageForm {
  kind: StorageKind;
  name: string;
  tier: Tier;
  folder: string;
  provider: Provider;
  endpoint: string;
  region: string;
  bucket: string;
  prefix: string;
  path_style: boolean;
  storage_class: string;
  ca_pem: string;
  lock: "none" | "GOVERNANCE" | "COMPLIANCE";
  days: number;
  access_key_id: string;
  secret_access_key: string;
  remote_type: string;
  /** Parameters of the remote, secret ones among them; empty ones are not sent. */
  values: Record<string, string>;
  path: string;
}

type Provider = "aws" | "b2" | "garage" | "ceph" | "other";

interface Preset {
  value: Provider;
  label: string;
  fills: Pick<StorageForm, "endpoint" | "region" | "path_style">;
  /** An address as this provider has them. */
  example: string;
  note: string;
}

export const PRESETS: readonly Preset[] = [
  {
    value: "garage",
    label: "Garage",
    fills: { endpoint: "", region: "garage", path_style: true },
    example: "https://garage.example.org:3900",
    note: "A key of Garage reaches a whole bucket: make one bucket and one key for this workspace. Garage has no locks.",
  },
  {
    value: "b2",
    label: "Backblaze B2",
    fills: { endpoint: "https://s3.us-west-004.backblazeb2.com", region: "us-west-004", path_style: true },
    example: "https://s3.us-west-004.backblazeb2.com",
    note: "Use an application key, not the master key. Put the region of your bucket in place of us-west-004, in both fields.",
  },
  {
    value: "aws",
    label: "AWS S3",
    fills: { endpoint: "", region: "eu-central-1", path_style: false },
    example: "Empty for AWS",
    note: "Leave the endpoint empty. STANDARD_IA suits backups; classes that must be thawed first cannot be read.",
  },
  {
    value: "ceph",
    label: "Ceph or MinIO",
    fills: { endpoint: "", region: "us-east-1", path_style: true },
    example: "https://s3.example.org:9000",
    note: "For a server with a certificate of your own, paste its authority's below. Locks need a bucket made with object lock.",
  },
  {
    value: "other",
    label: "Another S3 server",
    fills: { endpoint: "", region: "us-east-1", path_style: true },
    example: "https://s3.example.org",
    note: "Anything that speaks S3 with Signature Version 4.",
  },
];

export function emptyForm(kind: StorageKind = "s3"): StorageForm {
  return {
    kind,
    name: "",
    tier: "offsite",
    folder: "",
    provider: "other",
    endpoint: "",
    region: "us-east-1",
    bucket: "",
    prefix: "",
    path_style: true,
    storage_class: "",
    ca_pem: "",
    lock: "none",
    days: 30,
    access_key_id: "",
    secret_access_key: "",
    remote_type: "webdav",
    values: {},
    path: "",
  };
}

/** What the server of a provider is like, filled in; what was typed of bucket and key stays. */
export function withPreset(form: StorageForm, provider: Provider): StorageForm {
  return { ...form, provider, ...PRESETS.find(({ value }) => value === provider)?.fills };
}

export interface Parameter {
  name: string;
  secret: boolean;
  /** The values it can have, where it is one of a list. */
  choices: readonly string[] | null;
}

const SECRET: readonly ParameterKind[] = ["secret", "secretUrl", "obscured"];

/** rclone's remote types that may be used. */
export const REMOTES: readonly string[] = Object.keys(REMOTE_TYPES);

/** What may be set of a remote type: what is shown first, then what is secret. */
export function parametersOf(remoteType: string): Parameter[] {
  return Object.entries(REMOTE_TYPES[remoteType]?.parameters ?? {})
    .map(([name, kind]) => ({ name, secret: SECRET.includes(kind), choices: typeof kind === "string" ? null : kind }))
    .toSorted((a, b) => Number(a.secret) - Number(b.secret));
}

function filled(form: StorageForm, secret: boolean): Record<string, string> {
  const wanted = parametersOf(form.remote_type).filter((one) => one.secret === secret);
  return Object.fromEntries(
    wanted.flatMap(({ name }) => {
      const value = (form.values[name] ?? "").trim();
      return value === "" ? [] : [[name, value] as const];
    }),
  );
}

/** An S3 server's or a remote's credential as it was typed; undefined where nothing was. */
export function secretOf(form: StorageForm): StorageSecret | undefined {
  if (form.kind === "s3") {
    const { access_key_id, secret_access_key } = form;
    return { kind: "s3", access_key_id: access_key_id.trim(), secret_access_key: secret_access_key.trim() };
  }
  const parameters = form.kind === "rclone" ? filled(form, true) : {};
  return Object.keys(parameters).length === 0 ? undefined : { kind: "rclone", parameters };
}

/** Whether what the form is about is opened by anything. */
export function hasCredential(form: Pick<StorageForm, "kind" | "remote_type">): boolean {
  return form.kind === "s3" || (form.kind === "rclone" && parametersOf(form.remote_type).some(({ secret }) => secret));
}

/** What is missing of a credential, field by field. */
export function credentialProblems(form: StorageForm): { name: string; message: string }[] {
  if (form.kind !== "s3") return [];
  const empty = (["access_key_id", "secret_access_key"] as const).filter((name) => form[name].trim() === "");
  return empty.map((name) => ({ name, message: "Fill this in." }));
}

const orNull = (text: string) => (text.trim() === "" ? null : text.trim());

function placeOf(form: StorageForm): StoragePlace {
  switch (form.kind) {
    case "local_fs":
      return { kind: "local_fs", config: { folder: form.folder.trim() } };
    case "rclone":
      return {
        kind: "rclone",
        config: { remote_type: form.remote_type, parameters: filled(form, false), path: form.path.trim() },
      };
    case "s3":
      return {
        kind: "s3",
        config: {
          endpoint: orNull(form.endpoint),
          region: form.region.trim(),
          bucket: form.bucket.trim(),
          prefix: form.prefix.trim(),
          path_style: form.path_style,
          storage_class: orNull(form.storage_class),
          ca_pem: orNull(form.ca_pem),
          lock: form.lock === "none" ? null : { mode: form.lock, days: form.days },
        },
      };
  }
}

/** What is sent to add a storage. */
export function inputOf(form: StorageForm) {
  const secret = secretOf(form);
  return { name: form.name.trim(), tier: form.tier, place: placeOf(form), ...(secret ? { secret } : {}) };
}

/** What of a form cannot be sent, field by field. */
export function problemsOf(form: StorageForm): { name: string; message: string }[] {
  const found: { name: string; message: string }[] = [];
  const { kind, provider, endpoint } = form;
  // Without an address it is Amazon's: nobody's key should go there by mistake.
  if (kind === "s3" && provider !== "aws" && endpoint.trim() === "")
    found.push({ name: "endpoint", message: "Give the server's address. Only AWS goes without." });
  if (kind === "local_fs" && form.folder.trim() === "")
    found.push({ name: "folder", message: "Give a name; the disks themselves are there already." });
  const parsed = createStorageInput.safeParse(inputOf(form));
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path.at(-1) ?? "");
    const value = form[name as keyof StorageForm];
    found.push({ name, message: value === "" ? "Fill this in." : message });
  }
  return found;
}
