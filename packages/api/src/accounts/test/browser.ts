/** What a call answered: its data, or the code of its error. */
export interface Answer {
  status: number;
  code: string | null;
  // What procedures answer is checked by their own schemas; tests look into it freely.
  data: never;
  text: string;
}

/** Speaks to a hub over HTTP as a browser tab does: keeps the refresh cookie, and sends what it was told to. */
export class Browser {
  cookie: string | undefined;
  token: string | undefined;
  workspace: string | undefined;
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  /** Another tab or a thief: the same cookie and token at this moment. */
  copy(): Browser {
    const other = new Browser(this.#base);
    other.cookie = this.cookie;
    other.token = this.token;
    other.workspace = this.workspace;
    return other;
  }

  headers(): Record<string, string> {
    return {
      ...(this.cookie ? { cookie: this.cookie } : {}),
      ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      ...(this.workspace ? { "x-xvault-workspace": this.workspace } : {}),
    };
  }

  async mutate(path: string, input?: unknown): Promise<Answer> {
    return this.#send(`/trpc/${path}`, {
      method: "POST",
      headers: { ...this.headers(), "content-type": "application/json" },
      body: JSON.stringify(input ?? {}),
    });
  }

  async query(path: string, input?: unknown): Promise<Answer> {
    const search = input === undefined ? "" : `?input=${encodeURIComponent(JSON.stringify(input))}`;
    return this.#send(`/trpc/${path}${search}`, { headers: this.headers() });
  }

  async rest(method: string, path: string, body?: unknown): Promise<Answer> {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    const res = await fetch(`${this.#base}/api/v1${path}`, {
      method,
      headers: { ...this.headers(), ...json },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await res.text();
    const parsed = JSON.parse(text) as { code?: string };
    return { status: res.status, code: res.ok ? null : (parsed.code ?? null), data: parsed as never, text };
  }

  /** Signs up or in, and keeps what that gave. */
  async enter(path: "auth.signUp" | "auth.signIn" | "auth.refresh" | "auth.confirm", input?: unknown): Promise<Answer> {
    const answer = await this.mutate(path, input);
    if (answer.status === 200) {
      const session: { access_token: string; workspaces: { id: string }[] } = answer.data;
      this.token = session.access_token;
      this.workspace ??= session.workspaces[0]?.id;
    }
    return answer;
  }

  async #send(path: string, init: RequestInit): Promise<Answer> {
    const res = await fetch(this.#base + path, init);
    for (const line of res.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      this.cookie = pair.endsWith("=") ? undefined : pair;
    }
    const text = await res.text();
    const body = JSON.parse(text) as {
      result?: { data: never };
      error?: { data?: { report?: { code?: string } } };
    };
    return { status: res.status, code: body.error?.data?.report?.code ?? null, data: body.result?.data as never, text };
  }
}
