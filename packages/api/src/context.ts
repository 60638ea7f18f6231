import type { KeyMode, Role, Scope } from "@xvault/contracts";
import type { TenantId, UserId } from "@xvault/kernel";
import type { Services } from "./services.ts";

/** Who calls, established from a bearer token before any procedure runs. */
export interface Actor {
  kind: "user" | "token";
  userId: UserId;
  email: string;
  name: string;
  isPlatformAdmin: boolean;
  /** The session (user) or API token (token) that the call is made with. */
  credentialId: string;
  /** Token only: what it may do. Null for a signed-in person: all that the role may. */
  scopes: Scope[] | null;
  /** When the person last gave the password; null for tokens. */
  confirmedAt: Date | null;
  /** The workspace that the call is about, when one was named and the person is a member of it. */
  workspace: { id: TenantId; name: string; keyMode: KeyMode; role: Role; createdAt: Date } | null;
}

/** An actor that is known to act within a workspace. */
export type Member = Actor & { workspace: NonNullable<Actor["workspace"]> };

/** How the refresh token travels: an HttpOnly cookie that scripts never see. */
export interface RefreshCookie {
  read(): string | undefined;
  write(token: string, expiresAt: Date): void;
  clear(): void;
}

export interface RequestContext {
  requestId: string;
  ip: string;
  userAgent: string;
  /** Null for an anonymous call. Looked up at each request, so that a revoked session or role is dead at once. */
  actor: Actor | null;
  cookie: RefreshCookie;
  services: Services;
  /** Hears who calls once it is known that they may, before the work. What it throws takes the place of the work. */
  begin?: (caller: Caller) => Promise<void>;
}

/** What a service needs to know of the caller for the audit log. */
export interface Caller {
  actor: Member;
  requestId: string;
}
