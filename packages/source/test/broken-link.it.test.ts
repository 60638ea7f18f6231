import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, connectTo, look, plan, randomContent } from "./trees.ts";

const missing = sshdAvailable();

/** Promise 26: a dropped connection is a failure, never a short success. */
describe.skipIf(missing)(`a link that breaks${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let tree: string;

  beforeAll(async () => {
    sshd = await startSshd();
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    for (let file = 0; file < 40; file++) writeFileSync(join(tree, `f${file}`), randomContent(50_000 + file));
    writeFileSync(join(tree, "large"), randomContent(3_000_000));
    proxy = await startProxy({ port: sshd.port });
  });
  afterAll(async () => {
    await proxy?.stop();
    await sshd?.stop();
  });

  for (const transport of ["tar", "sftp"] as const) {
    describe(transport, () => {
      let total = 0;

      it("brings everything while it holds", async () => {
        const connection = await connectTo(sshd, { port: proxy.port });
        const before = proxy.bytesBack();
        const whole = await collect(connection, plan([tree], { transport }));
        total = proxy.bytesBack() - before;
        connection.close();
        expect(whole.summary).toEqual(look(tree, tree.slice(1)));
        expect(total).toBeGreaterThan(5_000_000);
      });

      for (const fault of ["resetAfter", "blackHoleAfter"] as const) {
        for (const share of [0, 0.25, 0.5, 0.75, 0.99]) {
          it(`fails on ${fault} at ${share * 100} %`, async () => {
            expect(total, "the whole was measured").toBeGreaterThan(0);
            const shaky = await startProxy({ port: sshd.port });
            try {
              const connection = await connectTo(sshd, { port: shaky.port, keepaliveMs: 300 });
              shaky.setFaults({ [fault]: shaky.bytesBack() + Math.floor(total * share) });
              const pull = collect(connection, plan([tree], { transport }));
              await expect(pull).rejects.toMatchObject({ code: "CONNECTION_LOST" });
              await expect(connection.browse(tree)).rejects.toMatchObject({ code: "CONNECTION_LOST" });
              connection.close();
            } finally {
              await shaky.stop();
            }
          });
        }
      }
    });
  }

  it("is noticed by a restore", async () => {
    const shaky = await startProxy({ port: sshd.port });
    try {
      const connection = await connectTo(sshd, { port: shaky.port, keepaliveMs: 300 });
      const target = await connection.target(join(sshd.home, "restored"));
      shaky.setFaults({ blackHoleAfter: shaky.bytesBack() + 500 });
      const entry = { type: "file", size: 100_000, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n } as const;
      const restore = (async () => {
        for (let file = 0; file < 50; file++) {
          const body = (async function* () {
            yield randomContent(100_000);
          })();
          await target.put({ ...entry, path: Buffer.from(`f${file}`) }, body);
        }
        await target.finish();
      })();
      await expect(restore).rejects.toMatchObject({ code: "CONNECTION_LOST" });
      await target.abort();
      connection.close();
    } finally {
      await shaky.stop();
    }
  });

  it("brings the same over a slow line", async () => {
    const slow = await startProxy({ port: sshd.port, delayMs: 15 });
    try {
      const connection = await connectTo(sshd, { port: slow.port });
      for (const transport of ["tar", "sftp"] as const) {
        const whole = await collect(connection, plan([tree], { transport }));
        expect(whole.summary).toEqual(look(tree, tree.slice(1)));
      }
      connection.close();
    } finally {
      await slow.stop();
    }
  });
});
