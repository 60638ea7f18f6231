import type { Credential, Job, Role, Session, Source } from "@xvault/contracts";
import { randomBytes } from "node:crypto";
import type { Sshd } from "../ssh/index.ts";
import { type Client, createClient } from "./client.ts";

/** Somebody who signed up: the person and the workspace that came with them. */
export interface Tenant {
  userId: string;
  workspaceId: string;
  email: string;
  password: string;
  /** The session's access token. */
  accessToken: string;
  /** The refresh cookie's value. */
  refreshToken: string;
  /** An API token with all scopes of an owner. */
  token: string;
  tokenId: string;
  /** With the session, in the own workspace: what the web interface does. */
  web: Client;
  /** With the API token: what programs do. */
  api: Client;
}

export interface SignUpOptions {
  password?: string;
  workspace?: string;
  /** An age recipient: the workspace holds its own key. */
  recipient?: string;
}

/** Signs a person up with a fresh workspace, and makes an API token. */
export async function signUpTenant(url: string, options: SignUpOptions = {}): Promise<Tenant> {
  const tag = randomBytes(5).toString("hex");
  const email = `person-${tag}@example.test`;
  const password = options.password ?? `a passphrase of ${tag}`;
  const answer = await createClient(url).send("POST", "/trpc/auth.signUp", {
    name: `Person ${tag}`,
    email,
    password,
    workspace_name: options.workspace ?? `Workspace ${tag}`,
    key_mode: options.recipient ? "customer" : "platform",
    ...(options.recipient ? { recipient: options.recipient } : {}),
  });
  if (answer.status !== 200) throw new Error(`sign-up was answered with ${answer.status}: ${answer.text}`);
  const session = (answer.body as { result: { data: Session } }).result.data;
  const workspaceId = session.workspaces[0]?.id;
  if (!workspaceId) throw new Error("sign-up gave no workspace");
  const created = await createClient(url).post<{ token: string; api_token: { id: string } }>("/auth/token", {
    email,
    password,
    name: "system test",
  });
  return {
    userId: session.user.id,
    workspaceId,
    email,
    password,
    accessToken: session.access_token,
    refreshToken: /=([^;]+)/.exec(answer.headers.get("set-cookie") ?? "")?.[1] ?? "",
    token: created.token,
    tokenId: created.api_token.id,
    web: createClient(url, { bearer: session.access_token, workspace: workspaceId }),
    api: createClient(url, { bearer: created.token }),
  };
}

/** Signs in with e-mail address and password. */
export async function signIn(
  url: string,
  who: { email: string; password: string },
  workspace?: string,
): Promise<Client> {
  const session = await createClient(url).mutate<Session>("auth.signIn", { email: who.email, password: who.password });
  return createClient(url, { bearer: session.access_token, ...(workspace ? { workspace } : {}) });
}

/** Makes `person` a member of the tenant's workspace; the client speaks as that person in that workspace. */
export async function addMember(url: string, tenant: Tenant, person: Tenant, role: Role): Promise<Client> {
  await tenant.web.mutate("workspaces.addMember", { email: person.email, role });
  return createClient(url, { bearer: person.accessToken, workspace: tenant.workspaceId });
}

/** Adds the server as a source, as a program would: its key is asked for, the login stored, the connection named. */
export async function addSource(
  tenant: Tenant,
  sshd: Pick<Sshd, "host" | "username" | "privateKey" | "hostKey"> & { port: number },
  options: { paths: string[]; name?: string; excludes?: string[]; transport?: "auto" | "tar" | "sftp" },
): Promise<Source> {
  const credential = await tenant.api.post<Credential>("/credentials", {
    credential: { kind: "private_key", private_key: sshd.privateKey },
  });
  return tenant.api.post<Source>("/sources", {
    name: options.name ?? "server",
    connection: {
      host: sshd.host,
      port: sshd.port,
      username: sshd.username,
      host_key: sshd.hostKey,
      credential_id: credential.id,
    },
    paths: options.paths,
    excludes: options.excludes ?? [],
    ...(options.transport ? { options: { transport: options.transport } } : {}),
  });
}

/** Backs a source up and waits for the end. Throws when it ends badly. */
export async function backUp(tenant: Tenant, source: { id: string }): Promise<Job & { snapshot_id: string }> {
  const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`));
  if (job.state !== "success" || job.snapshot_id === null) {
    throw new Error(`the backup ended as ${job.state}: ${JSON.stringify(job.error)}`);
  }
  return { ...job, snapshot_id: job.snapshot_id };
}
