import type { TestProject } from "vitest/node";
import { radosgwAvailable, startRadosgw } from "./index.ts";

const NOBODY = { uid: "", accessKeyId: "", secretAccessKey: "" };

/** For `globalSetup` of a vitest configuration: one radosgw for the run, by `inject("radosgw")`. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const missing = radosgwAvailable();
  if (missing) {
    const place = { endpoint: "http://127.0.0.1:9", region: "us-east-1", caPem: null };
    project.provide("radosgw", { missing, place, users: [NOBODY, NOBODY, NOBODY] });
    return undefined;
  }
  const server = await startRadosgw();
  const { endpoint, region, caPem, users } = server;
  const third = await server.addUser();
  project.provide("radosgw", { missing: null, place: { endpoint, region, caPem }, users: [...users, third] });
  return server.stop;
}
