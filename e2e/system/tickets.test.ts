// Promise 39 at the data listener: what is revoked opens nothing within a second. And what nobody signed goes no further than the worker.
import { request } from "node:http";
import { join } from "node:path";
import type { Ticket } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, backUp, forgeToken, type Stack, startStack, type Tenant, until } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing !== null)(`tickets${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let snapshotId: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres" }), startSshd()]);
    const tree = join(sshd.home, "tree");
    makeTree(tree);
    tenant = await stack.signUp();
    snapshotId = (await backUp(tenant, await addSource(tenant, sshd, { paths: [tree] }))).snapshot_id;
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  const show = async (dataUrl: string, path: string, ticket: string) => {
    const answer = await fetch(`${dataUrl}${path}`, { headers: { authorization: `Bearer ${ticket}` } });
    const body = (await answer.text()).slice(0, 400);
    return { status: answer.status, body };
  };

  it("that are open already are refused once their token is revoked; those of others go on", async () => {
    const ticketOf = (client: Tenant["api"]) => client.post<Ticket>(`/snapshots/${snapshotId}/browse-ticket`);
    const raw = (client: Tenant["api"]) =>
      client.post<Ticket>(`/snapshots/${snapshotId}/download-ticket`, { paths: [], format: "raw" });
    const tokens = [await ticketOf(tenant.api), await raw(tenant.api)] as const;
    const others = [await ticketOf(tenant.web), await raw(tenant.web)] as const;
    const paths = ["/v1/tree", "/v1/raw/manifest.json"] as const;
    const all = (tickets: readonly Ticket[]) =>
      Promise.all(tickets.map(async (one, i) => (await show(one.data_url, paths[i] ?? "", one.ticket)).status));
    expect(await all(tokens)).toEqual([200, 200]);
    expect(await all(others)).toEqual([200, 200]);
    await tenant.web.mutate("tokens.revoke", { id: tenant.tokenId });
    await until(async () => (await all(tokens)).join() === "401,401");
    expect(await all(others)).toEqual([200, 200]);
  });

  it("that the hub did not sign are refused without asking it", async () => {
    const { data_url, ticket } = await tenant.web.post<Ticket>(`/snapshots/${snapshotId}/browse-ticket`);
    const asked = () => stack.hub.log().split("/worker/v1/redeem").length;
    const before = asked();
    const forged = await forgeToken(ticket);
    for (const bad of ["x", `${ticket}x`, forged, tenant.accessToken]) {
      expect((await show(data_url, "/v1/tree", bad)).status, bad.slice(0, 20)).toBe(401);
    }
    expect(asked()).toBe(before);
    // Control: the hub's own is asked about, and opens.
    expect((await show(data_url, "/v1/tree", ticket)).status).toBe(200);
    await until(() => asked() > before);
  });

  it("are asked for at addresses that can be read; others are the caller's mistake", async () => {
    const { port } = new URL(stack.workers[0]?.dataUrl ?? "");
    const status = await new Promise((resolve, reject) => {
      request({ port, path: "//" }, (answer) => resolve(answer.resume().statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).toBe(400);
  });
});
