import type { Credential, Job, Source } from "@xvault/contracts";
import type { Sshd } from "@xvault/test-kit/ssh";
import { type Client, createClient } from "@xvault/test-kit/stack";
import { randomBytes } from "node:crypto";
import { expect, type Page } from "@playwright/test";
import { runningStack } from "./stack.ts";

/** Somebody with an account, for the browser, and with an API token, for what a test needs done but does not look at. */
export interface Person {
  name: string;
  email: string;
  password: string;
  workspace: string;
  api: Client;
}

/** What somebody types who signs up: never the same twice. */
export function newcomer(workspace: string): Omit<Person, "api"> {
  const tag = randomBytes(4).toString("hex");
  return {
    name: "Ada Example",
    email: `ada-${tag}@example.test`,
    password: `a passphrase of ${tag}`,
    workspace: `${workspace} ${tag}`,
  };
}

/** An API client with every right that the person has. */
export async function apiOf(person: { email: string; password: string }): Promise<Client> {
  const { url } = runningStack();
  const { email, password } = person;
  const made = await createClient(url).post<{ token: string }>("/auth/token", {
    email,
    password,
    name: "browser tests",
  });
  return createClient(url, { bearer: made.token });
}

/** Signs somebody up without the browser; xVault holds the restore key. */
export async function signUpByApi(workspace: string, named: Partial<Omit<Person, "api">> = {}): Promise<Person> {
  const person = { ...newcomer(workspace), ...named };
  await createClient(runningStack().url).mutate("auth.signUp", {
    name: person.name,
    email: person.email,
    password: person.password,
    workspace_name: person.workspace,
    key_mode: "platform",
  });
  return { ...person, api: await apiOf(person) };
}

/** Adds a server as a source without the browser. */
export async function addSource(
  { api }: Pick<Person, "api">,
  server: Pick<Sshd, "host" | "port" | "username" | "privateKey" | "hostKey">,
  options: { name: string; paths: string[]; excludes?: string[]; transport?: "tar" | "sftp" },
): Promise<Source> {
  const credential = await api.post<Credential>("/credentials", {
    credential: { kind: "private_key", private_key: server.privateKey },
  });
  return api.post<Source>("/sources", {
    name: options.name,
    connection: {
      host: server.host,
      port: server.port,
      username: server.username,
      host_key: server.hostKey,
      credential_id: credential.id,
    },
    paths: options.paths,
    excludes: options.excludes ?? [],
    options: { transport: options.transport ?? "auto" },
  });
}

/** Backs a source up without the browser and waits for the end, however it is. */
export async function backUp({ api }: Pick<Person, "api">, source: { id: string }): Promise<Job> {
  return api.ended(await api.post<Job>(`/sources/${source.id}/backup`));
}

/** Signs in on the sign-in page and waits for the dashboard. */
export async function signIn(page: Page, person: { email: string; password: string }): Promise<void> {
  await page.goto("/signin");
  await page.getByLabel("E-mail").fill(person.email);
  await page.getByLabel("Password").fill(person.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).not.toHaveURL(/\/signin/);
}
