import type { ErrorCode } from "@xvault/kernel";

interface Remedy {
  label: string;
  to: string;
}

/** The page where an error can be put right, where we know one. `here` is the address to come back to. */
export function remedyFor(
  code: ErrorCode,
  context: { sourceId?: string | null | undefined; here: string },
): Remedy | null {
  const source = context.sourceId ? `/sources/${context.sourceId}` : null;
  switch (code) {
    case "HOST_KEY_CHANGED":
    case "HOST_KEY_UNCONFIRMED":
      return source === null ? null : { label: "Check the host key", to: `${source}?edit=host-key` };
    case "LOGIN_REFUSED":
    case "KEY_INVALID":
    case "KEY_PASSPHRASE_REQUIRED":
    case "USERNAME_INVALID":
    case "SECRET_UNREADABLE":
      return source === null ? null : { label: "Change the login", to: `${source}?edit=login` };
    case "HOST_UNRESOLVED":
    case "HOST_UNREACHABLE":
      return source === null ? null : { label: "Check the address", to: `${source}?edit=login` };
    case "PATH_MISSING":
    case "PATH_DENIED":
    case "NOTHING_READABLE":
      return source === null ? null : { label: "Change what is backed up", to: `${source}?edit=paths` };
    case "SOURCE_PAUSED":
      return source === null ? null : { label: "Open the source", to: source };
    case "UNAUTHENTICATED":
    case "SESSION_REVOKED":
      return { label: "Sign in", to: `/signin?next=${encodeURIComponent(context.here)}` };
    case "EMAIL_TAKEN":
      return { label: "Sign in instead", to: "/signin" };
    case "FORBIDDEN":
      return { label: "See who can", to: "/team" };
    case "KEY_CUSTOMER_HELD":
      return { label: "See how to restore", to: "/keys" };
    default:
      return null;
  }
}
