import type { Job } from "@xvault/contracts";
import { until } from "./child.ts";

/** An answer as it came. `body` is parsed where it is JSON. */
export interface Answer {
  status: number;
  body: unknown;
  text: string;
  headers: Headers;
}

/** What the hub refused: the stable code, and the whole answer. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly answer: Answer;
  constructor(what: string, answer: Answer) {
    const body = answer.body as { code?: string; message?: string; error?: { data?: { report?: { code?: string } } } };
    const code = body?.code ?? body?.error?.data?.report?.code ?? "no code";
    super(`${what}: ${answer.status} ${code} ${answer.text.slice(0, 400)}`);
    this.code = code;
    this.status = answer.status;
    this.answer = answer;
  }
}

/** Speaks to the hub on somebody's behalf: REST with plain answers, tRPC over HTTP as the web interface does it. */
export interface Client {
  /** The token that it sends, if any. */
  readonly bearer: string | undefined;
  /** Any request, answered as it is. */
  send(method: string, path: string, body?: unknown): Promise<Answer>;
  /** REST below `/api/v1`. @throws Refusal */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  remove<T>(path: string): Promise<T>;
  /** A tRPC query, such as `workspaces.members`. @throws Refusal */
  query<T>(procedure: string, input?: unknown): Promise<T>;
  /** A tRPC mutation. @throws Refusal */
  mutate<T>(procedure: string, input?: unknown): Promise<T>;
  /** Waits until a job is over, however it ended. */
  ended(job: { id: string }): Promise<Job>;
  /** Waits until a job is as `state` says. Throws when it is over otherwise. */
  reaches(job: { id: string }, state: (job: Job) => boolean): Promise<Job>;
}

export function createClient(url: string, who: { bearer?: string; workspace?: string } = {}): Client {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (who.bearer) headers["authorization"] = `Bearer ${who.bearer}`;
  if (who.workspace) headers["x-xvault-workspace"] = who.workspace;

  const send = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const hasBody = method !== "GET" && method !== "HEAD";
    const response = await fetch(url + path, {
      method,
      headers,
      ...(hasBody ? { body: JSON.stringify(body ?? {}) } : {}),
    });
    const text = await response.text();
    const json = /^\s*[[{]/.test(text) && response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      body: json ? (JSON.parse(text) as unknown) : text,
      text,
      headers: response.headers,
    };
  };
  const rest = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await send(method, `/api/v1${path}`, body);
    if (answer.status !== 200) throw new Refusal(`${method} ${path}`, answer);
    return answer.body as T;
  };
  const trpc = async <T>(method: string, procedure: string, path: string, body?: unknown): Promise<T> => {
    const answer = await send(method, path, body);
    if (answer.status !== 200) throw new Refusal(procedure, answer);
    return (answer.body as { result: { data: T } }).result.data;
  };
  const client: Client = {
    bearer: who.bearer,
    send,
    get: (path) => rest("GET", path),
    post: (path, body) => rest("POST", path, body),
    patch: (path, body) => rest("PATCH", path, body),
    remove: (path) => rest("DELETE", path),
    query: (procedure, input) =>
      trpc(
        "GET",
        procedure,
        `/trpc/${procedure}${input === undefined ? "" : `?input=${encodeURIComponent(JSON.stringify(input))}`}`,
      ),
    mutate: (procedure, input) => trpc("POST", procedure, `/trpc/${procedure}`, input),
    ended: (job) => until(async () => over(await readJob(job))),
    reaches: (job, state) =>
      until(async () => {
        const now = await readJob(job);
        if (state(now)) return now;
        if (over(now)) throw new Error(`the job ended as ${now.state}: ${JSON.stringify(now.error)}`);
        return null;
      }),
  };
  // A hub that restarts is away for a moment; what is waited for is the job.
  const readJob = async (job: { id: string }): Promise<Job> =>
    until(async () => {
      const answer = await send("GET", `/api/v1/jobs/${job.id}`).catch(() => null);
      if (answer === null || answer.status === 503) return null;
      if (answer.status !== 200) throw new Refusal("a job that is waited for", answer);
      return answer.body as Job;
    });
  return client;
}

function over(job: Job): Job | null {
  return job.state === "queued" || job.state === "running" ? null : job;
}
