import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createSourceService } from "./service.ts";

let world: ServiceWorld;
beforeAll(async () => {
  world = await startServices();
});
afterAll(async () => {
  await world?.stop();
});

describe("a stored password", () => {
  const hostKey = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const draft = (host: string, credentialId: string) => ({
    name: host,
    connection: { host, port: 22, username: "u", host_key: hostKey, credential_id: credentialId },
    paths: ["/etc"],
    excludes: [],
  });

  it("goes to the server that it was first used for and to no other that somebody points a source at", async () => {
    const service = createSourceService(world.deps);
    const password = await service.createCredential(world.caller, {
      kind: "password",
      password: "for one server only",
    });
    const made = await service.create(world.caller, draft("one.example.org", password.id));
    await expect(service.create(world.caller, draft("other.example.org", password.id))).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    await expect(
      service.update(world.caller, { id: made.id, connection: { host: "other.example.org" } }),
    ).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(service.update(world.caller, { id: made.id, connection: { port: 2222 } })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    // The same server, under another name of the source or for another user, is fine.
    const again = await service.update(world.caller, {
      id: made.id,
      connection: { host: "ONE.example.org", username: "v" },
    });
    expect(again.connection?.username).toBe("v");
  });

  it("may be replaced by a new one for the new server; a key pair goes anywhere", async () => {
    const service = createSourceService(world.deps);
    const first = await service.createCredential(world.caller, { kind: "password", password: "for one server only" });
    const made = await service.create(world.caller, draft("three.example.org", first.id));
    const second = await service.createCredential(world.caller, { kind: "password", password: "for another server" });
    const moved = { host: "four.example.org", credential_id: second.id };
    expect((await service.update(world.caller, { id: made.id, connection: moved })).connection?.host).toBe(
      "four.example.org",
    );
    const pair = await service.createCredential(world.caller, { kind: "generated_key" });
    await service.create(world.caller, draft("five.example.org", pair.id));
    expect((await service.create(world.caller, draft("six.example.org", pair.id))).connection?.host).toBe(
      "six.example.org",
    );
  });
});
