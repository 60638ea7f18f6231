/** A small client of the public API, as any integrator would write one. */
export interface Api {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
}

export function createApi(hubUrl: string, token: string): Api {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${hubUrl}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(method === "GET" ? {} : { body: JSON.stringify(body ?? {}) }),
    });
    const answer = (await response.json()) as T & { message?: string; fix?: string; code?: string };
    if (!response.ok) throw new Error(`${answer.code}: ${answer.message} ${answer.fix}`);
    return answer;
  };
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, body),
    patch: (path, body) => call("PATCH", path, body),
  };
}

/** Signs the demo's user up, the one thing that a token cannot do. */
export async function signUp(
  hubUrl: string,
  account: { email: string; password: string; name: string; workspace: string },
): Promise<void> {
  const response = await fetch(`${hubUrl}/trpc/auth.signUp`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      name: account.name,
      email: account.email,
      password: account.password,
      workspace_name: account.workspace,
      key_mode: "platform",
    }),
  });
  if (!response.ok) throw new Error(`sign-up failed: ${await response.text()}`);
}

/** Signs in for a token of the demo's workspace. */
export async function signIn(hubUrl: string, account: { email: string; password: string }): Promise<string> {
  const response = await fetch(`${hubUrl}/api/v1/auth/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...account, name: "demo" }),
  });
  const answer = (await response.json()) as { token?: string; message?: string };
  if (!answer.token) throw new Error(`sign-in failed: ${answer.message}`);
  return answer.token;
}
