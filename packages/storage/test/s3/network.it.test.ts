import { randomUUID } from "node:crypto";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { createBucket, type Radosgw, startRadosgw } from "@xvault/test-kit/s3";
import { startWire, type Wire } from "@xvault/test-kit/proxy";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { codeOf, pattern, put } from "../../src/conformance.suite.ts";
import { checkedLookup } from "../../src/s3/lookup.ts";
import { openS3Store } from "../../src/s3/open.ts";
import { because, radosgw, targetOf } from "./radosgw.ts";
import { demand, freshStore, PART, type S3Target } from "./targets.ts";

const [user] = radosgw.users;
const port = Number(new URL(radosgw.place.endpoint).port);
const MiB = 1024 * 1024;

interface Middleman {
  endpoint: string;
  /** Requests that came, as `METHOD path?query`. */
  seen: string[];
  stop(): Promise<void>;
}

interface Meddling {
  /** The first answer to a request that this names is swallowed: the server has carried it out, and the client's connection is cut. */
  forget?: (request: string) => boolean;
  /** Conditional requests are refused, as by a server that has none. */
  refuseConditions?: boolean;
}

/** Passes requests on to the radosgw of this run, and meddles. */
async function startMiddleman({ forget = () => false, refuseConditions = false }: Meddling): Promise<Middleman> {
  const seen: string[] = [];
  let swallowed = false;
  const server = createServer((incoming, outgoing) => {
    const { method = "", url: path = "", headers } = incoming;
    seen.push(`${method} ${path}`);
    if (refuseConditions && headers["if-none-match"] !== undefined) {
      incoming.resume().once("end", () => {
        outgoing.writeHead(501, { "content-type": "application/xml" });
        outgoing.end(
          "<Error><Code>NotImplemented</Code><Message>A header you provided is not implemented</Message></Error>",
        );
      });
      return;
    }
    const forgotten = !swallowed && forget(`${method} ${path}`);
    if (forgotten) swallowed = true;
    const onward = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      if (forgotten) {
        answer.resume().once("end", () => incoming.socket.destroy());
      } else {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      }
    });
    onward.once("error", () => incoming.socket.destroy());
    incoming.pipe(onward);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe.skipIf(because)(`S3 over a bad network${because}`, () => {
  let target: S3Target;
  let wire: Wire;
  const ends: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    const bucket = `network-${randomUUID()}`;
    await createBucket(radosgw.place, user, bucket);
    target = targetOf(user, bucket);
    wire = await startWire(port);
  });
  afterAll(() => wire?.stop());
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  const overWire = () => freshStore({ ...target, endpoint: `http://127.0.0.1:${wire.port}` });

  test.each([
    ["at its first byte", 1],
    ["in the middle", 2 * MiB],
  ])("promise 18: a read whose answer is cut %s is asked for again, and not called corruption", async (_, at) => {
    const store = await overWire();
    await put(store, "object", pattern(4 * MiB));
    const reader = await store.reader("object");
    for (const read of [() => reader.read(0, 4 * MiB), () => store.readAll("object", 4 * MiB)]) {
      const stopped = wire.stopAt("back", at);
      const reading = read();
      await stopped;
      wire.cut();
      expect((await reading).equals(pattern(4 * MiB))).toBe(true);
    }
  });

  test("a part whose way is cut is sent again", async () => {
    const store = await overWire();
    const writer = await store.create("large");
    await writer.write(pattern(PART + 1));
    const stopped = wire.stopAt("forth", 2 * MiB);
    const writing = writer.write(pattern(2 * PART, 1));
    await stopped;
    wire.cut();
    await writing;
    await writer.commit();
    const whole = Buffer.concat([pattern(PART + 1), pattern(2 * PART, 1)]);
    expect((await store.readAll("large", whole.length)).equals(whole)).toBe(true);
  });

  test("a storage that stays away is told as such, to be tried again", async () => {
    const store = await freshStore({ ...target, endpoint: "http://127.0.0.1:9" });
    await expect(store.stat("object")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retry: true,
      message: /did not answer \(ECONNREFUSED\)/,
    });
  });

  test("a small object whose confirmation was lost is not taken for another's", async () => {
    const forgetful = await startMiddleman({ forget: (asked) => asked.startsWith("PUT ") });
    ends.push(forgetful.stop);
    const store = await freshStore({ ...target, endpoint: forgetful.endpoint });
    await put(store, "object", pattern(500));
    expect(forgetful.seen.filter((asked) => asked.startsWith("PUT ")).length).toBe(2);
    expect((await store.readAll("object", 500)).equals(pattern(500))).toBe(true);
    expect(await codeOf(store.create("object"))).toBe("OBJECT_EXISTS");
  });

  test("nor is a large one whose completion was confirmed to nobody", async () => {
    const forgetful = await startMiddleman({ forget: (asked) => /^POST .*uploadId=/.test(asked) });
    ends.push(forgetful.stop);
    const store = await freshStore({ ...target, endpoint: forgetful.endpoint });
    await put(store, "large", pattern(PART + 500));
    expect(forgetful.seen.filter((asked) => /^POST .*uploadId=/.test(asked)).length).toBe(2);
    expect(await store.stat("large")).toEqual({ sizeBytes: PART + 500 });
  });

  test("another's object is still another's when the first try's answer was lost", async () => {
    const prefix = `t-${randomUUID()}`;
    const forgetful = await startMiddleman({ forget: (asked) => asked.startsWith("PUT ") });
    ends.push(forgetful.stop);
    const store = await openS3Store({ ...target, prefix, endpoint: forgetful.endpoint });
    const writer = await store.create("object");
    await writer.write(pattern(500));
    await demand(target, "PUT", `/${prefix}/object`, "another's");
    expect(await codeOf(writer.commit())).toBe("OBJECT_EXISTS");
    expect((await store.readAll("object", 500)).toString()).toBe("another's");
  });

  test("a server that has no conditional requests is asked without, and nothing is replaced there either", async () => {
    const plain = await startMiddleman({ refuseConditions: true });
    ends.push(plain.stop);
    const store = await freshStore({ ...target, endpoint: plain.endpoint });
    for (const [name, size] of [
      ["small", 500],
      ["large", PART + 500],
    ] as const) {
      const late = await store.create(name);
      await late.write(pattern(size, 1));
      await put(store, name, pattern(size));
      expect(await codeOf(late.commit())).toBe("OBJECT_EXISTS");
      expect((await store.readAll(name, size)).equals(pattern(size))).toBe(true);
    }
  });

  test("connects to no address that the policy refuses, be it written out or hidden behind a name", async () => {
    const nowhere = { lookup: checkedLookup({ allow: () => false }) };
    const anywhere = { lookup: checkedLookup({ allow: () => true }) };
    const named = { ...target, endpoint: `http://localhost:${port}` };
    expect(await codeOf(freshStore(target, nowhere))).toBe("TARGET_FORBIDDEN");
    expect(await codeOf((await freshStore(named, nowhere)).stat("a"))).toBe("TARGET_FORBIDDEN");
    expect(await codeOf((await freshStore(named, nowhere)).create("a"))).toBe("TARGET_FORBIDDEN");
    for (const allowed of [target, named]) await put(await freshStore(allowed, anywhere), "a", pattern(3 * MiB));
  });

  describe("a server with TLS, and a user with a quota", () => {
    let server: Radosgw;
    beforeAll(async () => {
      server = await startRadosgw({ tls: true });
      await server.createBucket("secure");
    });
    afterAll(() => server?.stop());

    test("is trusted by the certificate that was given, and by nothing else", async () => {
      const { endpoint, region, caPem, users } = server;
      const secure: S3Target = { ...target, endpoint, region, caPem, ...users[0], bucket: "secure" };
      const store = await freshStore(secure);
      await put(store, "large", pattern(PART + 5));
      expect((await store.readAll("large", PART + 5)).equals(pattern(PART + 5))).toBe(true);
      const system = await freshStore({ ...secure, caPem: null });
      await expect(system.stat("large")).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        retry: false,
        message: /certificate is not trusted/,
      });
    });

    test("a full bucket is told as SPACE_REQUIRED, and what it holds stays readable", async () => {
      const { endpoint, region, caPem } = server;
      const poor = await server.addUser({ quotaBytes: 3 * PART });
      await server.createBucket("poor", { user: poor });
      const store = await freshStore({ ...target, endpoint, region, caPem, ...poor, bucket: "poor" });
      await put(store, "small", pattern(5));
      const fill = async () => {
        const writer = await store.create("large");
        for (let at = 0; at < 5; at += 1) await writer.write(pattern(PART, at));
        await writer.commit();
      };
      expect(await codeOf(fill())).toBe("SPACE_REQUIRED");
      expect(await store.stat("large")).toBeNull();
      expect((await store.readAll("small", 5)).equals(pattern(5))).toBe(true);
    });
  });
});
