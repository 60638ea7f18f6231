import { XVaultError } from "@xvault/kernel";
import { type ParameterKind, REMOTE_TYPES } from "./remotes.ts";

/** A remote as a tenant describes it. */
export interface RcloneRemote {
  /** rclone's name of the provider: 'drive', 'webdav', … */
  remoteType: string;
  /** rclone's own names of what is not secret. */
  parameters: Readonly<Record<string, string>>;
  /** rclone's own names of passwords, keys and tokens, each in clear. */
  secretParameters: Readonly<Record<string, string>>;
  /** Where below the remote the objects lie: 'bucket/folder', or '' for its top. */
  path: string;
}

const SECRET_KINDS: readonly ParameterKind[] = ["secret", "secretUrl", "obscured"];
const MAX_VALUE = 16_384;
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_.!-]{0,255}$/;
const HOST = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$|^[0-9A-Fa-f:.]{2,45}$/;
// oxlint-disable-next-line no-control-regex -- what a line must not hold is the point
const LINE = /^[^\0-\x1f\x7f]*$/;

function refused(message: string, field: string): XVaultError {
  return new XVaultError("INPUT_INVALID", message, { data: { field } });
}

function webUrl(text: string): URL | null {
  const url = URL.parse(text);
  return url && (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" ? url : null;
}

function suits(kind: ParameterKind, value: string): boolean {
  if (value.length > MAX_VALUE || !LINE.test(value)) return false;
  if (typeof kind !== "string") return kind.includes(value);
  if (kind === "host") return HOST.test(value);
  if (kind === "word") return WORD.test(value);
  if (value === "") return false;
  if (kind === "secretUrl") return webUrl(value) !== null;
  // A user name or a password in a URL would be logged with it.
  if (kind === "url") return webUrl(value)?.username === "" && webUrl(value)?.password === "";
  return true;
}

function checkPath(path: string): void {
  const odd = path.split("/").some((part) => part === ".." || part === ".");
  if (path.length > 900 || odd || path.startsWith("/") || path.endsWith("/") || path.includes("//") || !LINE.test(path))
    throw new XVaultError("PATH_INVALID", "The path on the remote is not valid.", {
      fix: "Use names separated by '/', without one at either end, none of them '.' or '..'.",
      data: { field: "path" },
    });
}

/** Parameters of a remote with their kinds. `INPUT_INVALID` names the field unless type, names and values all are on the allow list. */
function checked(remote: RcloneRemote): { name: string; kind: ParameterKind; value: string }[] {
  const type = Object.hasOwn(REMOTE_TYPES, remote.remoteType) ? REMOTE_TYPES[remote.remoteType] : undefined;
  if (!type) throw refused("xVault does not store backups on rclone remotes of this type.", "remoteType");
  return [remote.parameters, remote.secretParameters].flatMap((group) =>
    Object.entries(group).map(([name, value]) => {
      const kind = Object.hasOwn(type.parameters, name) ? type.parameters[name] : undefined;
      if (kind === undefined)
        throw refused(`A remote of type ${remote.remoteType} takes no such parameter here.`, name);
      if (SECRET_KINDS.includes(kind) !== (group === remote.secretParameters))
        throw refused("A secret belongs with the secret parameters, and nothing else does.", name);
      if (!suits(kind, value)) throw refused("The value of this parameter is not valid.", name);
      return { name, kind, value };
    }),
  );
}

/** What rclone is configured with. */
export interface RemoteSettings {
  type: string;
  plain: Record<string, string>;
  /** Secrets that are given as they are. */
  secret: Record<string, string>;
  /** Secrets that rclone wants obscured, still in clear. */
  obscured: Record<string, string>;
  path: string;
}

/** Holds a tenant's remote against the allow list: `INPUT_INVALID` or `PATH_INVALID`, with the field. */
export function checkRemote(remote: RcloneRemote): RemoteSettings {
  const parameters = checked(remote);
  checkPath(remote.path);
  const of = (...kinds: ParameterKind[]) =>
    Object.fromEntries(parameters.filter(({ kind }) => kinds.includes(kind)).map(({ name, value }) => [name, value]));
  return {
    type: remote.remoteType,
    plain: {
      ...Object.fromEntries(
        parameters.filter(({ kind }) => !SECRET_KINDS.includes(kind)).map(({ name, value }) => [name, value]),
      ),
      ...REMOTE_TYPES[remote.remoteType]?.fixed,
    },
    secret: of("secret", "secretUrl"),
    obscured: of("obscured"),
    path: remote.path,
  };
}

/**
 * The hosts that a remote's own parameters make rclone connect to, without brackets; none where the provider's are built in. rclone resolves
 * names by itself, at any time, and follows redirects: a policy about addresses can only be asked about these beforehand.
 */
export function rcloneEndpoints(remote: RcloneRemote): string[] {
  return checked(remote).flatMap(({ kind, value }) => {
    if (kind === "host") return [value];
    if (kind !== "url" && kind !== "secretUrl") return [];
    const host = webUrl(value)?.hostname ?? "";
    return [host.startsWith("[") ? host.slice(1, -1) : host];
  });
}
