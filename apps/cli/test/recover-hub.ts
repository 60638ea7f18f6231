import { once } from "node:events";
import { createReadStream, statSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { writeTarTo } from "@xvault/archive";
import { meSchema, keysSchema, type Manifest, snapshotDetailSchema } from "@xvault/contracts";
import { checkSnapshot, createReportLog, findSnapshots, runRestore, unsealWithIdentities } from "@xvault/engine";
import type { MadeStorage } from "./made-snapshot.ts";

/**
 * The few answers of a hub and a worker that `xvault restore` to this machine needs, over a storage's directory: one snapshot, its stored
 * objects in ranges, and a plain tar of it. Who asks is not looked at.
 */
export async function startHub(storage: MadeStorage, directory: string, manifest: Manifest) {
  const api: Record<string, unknown> = {
    [`/api/v1/snapshots/${manifest.snapshot_id}`]: detailOf(manifest),
    "/api/v1/me": meSchema.parse({ user: null, workspace: workspaceOf(manifest), scopes: null }),
    "/api/v1/keys": keysSchema.parse({ key_mode: "platform", keys: [], root_keys: [storage.rootKey] }),
  };
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [, earlier, object = ""] = /^\/v1\/raw\/(?:([0-9a-f-]+)\/)?([a-z.]+)$/.exec(path) ?? [];
    if (path in api) response.end(JSON.stringify(api[path]));
    else if (path.endsWith("/download-ticket"))
      response.end(JSON.stringify({ ticket: "t", data_url: url, url: null, expires_at: manifest.created_at }));
    else if (path === "/v1/download") sendTar(storage, directory, response).catch(() => response.destroy());
    else if (object) {
      const place = earlier === undefined ? directory : join(dirname(directory), earlier);
      sendRange(join(place, object), request.headers.range ?? "", response);
    } else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function sendRange(file: string, range: string, response: ServerResponse): void {
  const [, start = 0, end = 0] = (/^bytes=(\d+)-(\d+)$/.exec(range) ?? []).map(Number);
  response.writeHead(206, { "content-range": `bytes ${start}-${end}/${statSync(file).size}` });
  createReadStream(file, { start, end }).pipe(response);
}

async function sendTar(storage: MadeStorage, directory: string, response: ServerResponse): Promise<void> {
  const [found] = (await findSnapshots(directory)).snapshots;
  if (!found) throw new Error("there is no snapshot");
  const checked = await checkSnapshot(found.objects, { rootKeys: [storage.rootKey] });
  const target = writeTarTo({
    write: async (chunk) => void (response.write(chunk) || (await once(response, "drain"))),
    close: async () => void response.end(),
  });
  await runRestore({
    artifact: await unsealWithIdentities(checked, [storage.identity.identity]),
    paths: [],
    target,
    reporter: createReportLog().reporter,
    signal: new AbortController().signal,
  });
}

function workspaceOf(manifest: Manifest): object {
  return {
    id: manifest.tenant_id,
    name: "Test",
    key_mode: "platform",
    role: "owner",
    created_at: manifest.created_at,
  };
}

function detailOf(manifest: Manifest): object {
  const { contents } = manifest;
  return snapshotDetailSchema.parse({
    id: manifest.snapshot_id,
    short_id: manifest.snapshot_id.slice(-8),
    source_id: manifest.source_id,
    source_name: "test",
    job_id: manifest.job_id,
    state: "complete",
    partial: manifest.partial,
    sequence: manifest.sequence,
    size_bytes: manifest.artifact.size_bytes,
    plain_bytes: contents.plain_bytes,
    files: contents.files,
    directories: contents.directories,
    problems: contents.problems,
    sha256: manifest.artifact.sha256,
    key_fingerprints: [],
    key_holder: "platform",
    locator: {
      storage_backend: "local_fs",
      storage_id: null,
      worker_id: null,
      local_path: null,
      bucket: null,
      key: null,
    },
    tier: "hot",
    package_type: "user_data",
    copies: 1,
    reachable: true,
    pinned: false,
    pin_note: null,
    held_until: null,
    removed_at: null,
    started_at: manifest.started_at,
    created_at: manifest.created_at,
    manifest,
    all_copies: [],
  });
}
