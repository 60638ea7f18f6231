import type { Session } from "@xvault/contracts";

/**
 * What this tab may do: the access token lives in memory alone, so that nothing which reads the browser's storage gets it. The refresh
 * token is a cookie that scripts never see.
 */
let accessToken: string | null = null;
let workspaceId: string | null = null;
let listener: (session: Session | null) => void = () => {};

export function setAccess(session: Session | null): void {
  accessToken = session?.access_token ?? null;
  listener(session);
}

export function setWorkspace(id: string | null): void {
  workspaceId = id;
}

/** Called with each new session, and with null when the session has ended. */
export function onAccessChange(callback: (session: Session | null) => void): void {
  listener = callback;
}

/** True while somebody is signed in, whether or not the token still holds. */
export const hasAccess = () => accessToken !== null;

/** The headers that say who calls, and in which workspace. */
export function accessHeaders(): Record<string, string> {
  return {
    ...(accessToken === null ? {} : { authorization: `Bearer ${accessToken}` }),
    ...(workspaceId === null ? {} : { "x-xvault-workspace": workspaceId }),
  };
}
