import { startDemoServer } from "@xvault/source/demo-server";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { userInfo } from "node:os";

// The demo's SSH server for machines without sshd: a process of its own, started by `ssh-server.ts`.

const [directory = "", port = "0"] = process.argv.slice(2);
await startDemoServer({
  root: dirname(directory),
  hostKeyPem: readFileSync(join(directory, "host_key"), "utf8"),
  authorizedKeyLine: readFileSync(join(directory, "authorized_keys"), "utf8").trim(),
  username: userInfo().username,
  port: Number(port),
});
process.once("disconnect", () => process.exit(0));
