import { beforeAll, describe, expect, test } from "vitest";
import { s3Request, type S3User } from "@xvault/test-kit/s3";
import { codeOf, pattern, put } from "../../src/conformance.suite.ts";
import { openS3Store } from "../../src/s3/open.ts";
import type { S3Store } from "../../src/s3/options.ts";
import { because, freshBucket, radosgw } from "./radosgw.ts";
import { ask, demand, gather, PART, type S3Target, texts } from "./targets.ts";

const [platform, one, two] = radosgw.users;

/** Everything that a store can be asked to do to a neighbour's object `dir/object`. */
const STORE_VERBS: [string, (store: S3Store) => Promise<unknown>][] = [
  ["stat", (store) => store.stat("dir/object")],
  ["reader", (store) => store.reader("dir/object")],
  ["readAll", (store) => store.readAll("dir/object", 100)],
  ["list", (store) => gather(store.list(""))],
  ["list below", (store) => gather(store.list("dir"))],
  ["folders", (store) => gather(store.folders(""))],
  ["create", (store) => put(store, "dir/new", pattern(5))],
  ["create large", (store) => put(store, "dir/large", pattern(PART + 5))],
  ["remove", (store) => store.remove("dir/new")],
  ["removeTree", (store) => store.removeTree("dir")],
];

/** What the protocol can be asked for past the driver. `{upload}` stands for an open upload of the neighbour. */
const RAW_VERBS: [string, string, string][] = [
  ["GET", "/{dir}/object", ""],
  ["HEAD", "/{dir}/object", ""],
  ["PUT", "/{dir}/object", "replaced"],
  ["GET", "?list-type=2&prefix={dir}/", ""],
  ["GET", "/{dir}/object?acl", ""],
  ["POST", "/{dir}/new?uploads", ""],
  ["GET", "/{dir}/upload?uploadId={upload}", ""],
  ["PUT", "/{dir}/upload?partNumber=1&uploadId={upload}", "a part"],
  ["DELETE", "/{dir}/upload?uploadId={upload}", ""],
  ["DELETE", "/{dir}/object", ""],
];
/** Of a whole bucket: its owner's alone. */
const OWNER_VERBS: [string, string, string][] = [
  ["GET", "?uploads", ""],
  ["GET", "?versions", ""],
  ["GET", "?acl", ""],
  ["GET", "?versioning", ""],
  ["PUT", "?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"],
  ["PUT", "?policy", JSON.stringify({ Version: "2012-10-17", Statement: [] })],
];

/** Lays an object and an open upload of `owner`'s below `dir` of the bucket, and gives the upload's id. */
async function furnish(owner: S3Target, dir: string): Promise<string> {
  await demand(owner, "PUT", `/${dir}/object`, "a neighbour's bytes");
  return texts(await demand(owner, "POST", `/${dir}/upload?uploads`), "UploadId")[0] ?? "";
}

/** Every raw verb is refused to `stranger`, then granted to `owner`: a refusal alone could have any reason. */
async function tryRaw(verbs: typeof RAW_VERBS, stranger: S3Target, owner: S3Target, dir: string): Promise<void> {
  const upload = await furnish(owner, dir);
  const fill = (path: string) => path.replace("{dir}", dir).replace("{upload}", upload);
  for (const [method, path, body] of verbs) {
    const refused = await ask(stranger, method, fill(path), body);
    expect(refused.status, `${method} ${path} as a stranger: ${refused.body}`).toBe(403);
    expect(refused.body).not.toContain("neighbour");
  }
  expect(await demand(owner, "GET", `/${dir}/object`)).toBe("a neighbour's bytes");
  for (const [method, path, body] of verbs) await demand(owner, method, fill(path), body);
}

async function tryStore(stranger: S3Store, owner: S3Store): Promise<void> {
  await put(owner, "dir/object", pattern(50));
  for (const [verb, run] of STORE_VERBS)
    expect(await codeOf(run(stranger)), `${verb} as a stranger`).toBe("STORAGE_DENIED");
  expect((await owner.readAll("dir/object", 50)).equals(pattern(50))).toBe(true);
  for (const [verb, run] of STORE_VERBS) expect(await codeOf(run(owner)), `${verb} as the owner`).toBe("none");
  expect(await gather(owner.list(""))).toEqual([]);
}

describe.skipIf(because)(`promise 13: a tenant's storage keys cannot reach a neighbour${because}`, () => {
  describe("with a bucket for each tenant", () => {
    let owned: S3Target;
    let foreign: S3Target;
    beforeAll(async () => {
      owned = await freshBucket(one);
      foreign = { ...owned, ...two };
    });

    test("every verb of a store is refused on the other's bucket", async () => {
      const place = { prefix: "", partBytes: PART };
      await tryStore(await openS3Store({ ...foreign, ...place }), await openS3Store({ ...owned, ...place }));
    });

    test("so is every verb of the protocol, on objects, uploads and the bucket itself", async () => {
      await tryRaw([...RAW_VERBS, ...OWNER_VERBS], foreign, owned, "raw");
    });

    test("nothing is copied out of it", async () => {
      const mine = await freshBucket(two);
      await demand(owned, "PUT", "/copied", "a neighbour's bytes");
      const copy = (from: string) => radosgwCopy(two, `/${mine.bucket}/copy`, from);
      expect((await copy(`/${owned.bucket}/copied`)).status).toBe(403);
      await demand(mine, "PUT", "/own", "mine");
      expect((await copy(`/${mine.bucket}/own`)).status).toBe(200);
    });
  });

  describe("with one bucket, and credentials that a policy binds to a prefix each", () => {
    let shared: S3Target;
    beforeAll(async () => {
      shared = await freshBucket(platform);
      await demand(
        shared,
        "PUT",
        "?policy",
        JSON.stringify(
          prefixPolicy(shared.bucket, [
            [one, "one"],
            [two, "two"],
          ]),
        ),
      );
    });
    const storeOf = (user: S3User, prefix: string) => openS3Store({ ...shared, ...user, prefix, partBytes: PART });

    test("every verb of a store is refused below the other's prefix", async () => {
      await tryStore(await storeOf(two, "one"), await storeOf(one, "one"));
      await tryStore(await storeOf(one, "two"), await storeOf(two, "two"));
    });

    test("so is every verb of the protocol, and nobody but the owner governs the bucket", async () => {
      const [asOne, asTwo] = [
        { ...shared, ...one },
        { ...shared, ...two },
      ];
      await tryRaw(RAW_VERBS, asTwo, asOne, "one");
      for (const [method, path, body] of OWNER_VERBS) {
        expect((await ask(asOne, method, path, body)).status, `${method} ${path}`).toBe(403);
      }
      expect((await ask(asOne, "GET", "?list-type=2")).status).toBe(403);
      expect((await ask(shared, "GET", "?list-type=2")).status).toBe(200);
    });

    test("a store below its own prefix tells what is missing from what is refused", async () => {
      const store = await storeOf(one, "one");
      expect(await store.stat("dir/nothing")).toBeNull();
      expect(await codeOf(store.readAll("dir/nothing", 5))).toBe("ARTIFACT_MISSING");
      expect(await codeOf(store.reader("dir/nothing"))).toBe("ARTIFACT_MISSING");
      expect(await store.sweepTemporary(0)).toBe(0);
    });
  });
});

function radosgwCopy(user: S3User, to: string, from: string): ReturnType<typeof s3Request> {
  return s3Request(radosgw.place, user, "PUT", to, { headers: { "x-amz-copy-source": from } });
}

/** What `docs/storage.md` names: each user's own objects, listings of them, and an explicit refusal of everything else in the bucket. */
function prefixPolicy(bucket: string, places: [S3User, string][]): object {
  const statements = places.flatMap(([{ uid }, prefix]) => {
    const Principal = { AWS: [`arn:aws:iam:::user/${uid}`] };
    const own = `arn:aws:s3:::${bucket}/${prefix}/*`;
    return [
      {
        Effect: "Allow",
        Principal,
        Action: [
          "s3:GetObject",
          "s3:GetObjectAcl",
          "s3:PutObject",
          "s3:DeleteObject",
          "s3:AbortMultipartUpload",
          "s3:ListMultipartUploadParts",
        ],
        Resource: [own],
      },
      {
        Effect: "Allow",
        Principal,
        Action: ["s3:ListBucket"],
        Resource: [`arn:aws:s3:::${bucket}`],
        Condition: { StringLike: { "s3:prefix": [`${prefix}/*`] } },
      },
      { Effect: "Deny", Principal, Action: ["s3:*"], NotResource: [own, `arn:aws:s3:::${bucket}`] },
    ];
  });
  return { Version: "2012-10-17", Statement: statements };
}
