import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startChild, untilReady } from "@xvault/test-kit/stack";
import { missing } from "./prerequisites.ts";
import { announceStack, ROOT } from "./stack.ts";

/** What an operator's shell may hold and the tests' xVault must not see. */
const FOREIGN = /^(DATABASE_URL|REDIS_URL|QUEUE_URL|BASE_URL|HOST|XVAULT_(?!WEB_DIR$))/;

/** Starts xVault by the very script behind `npm start`, without the demo; gives what ends it. */
export default async function globalSetup(): Promise<(() => Promise<void>) | undefined> {
  if (missing !== null) return undefined;
  // As root PostgreSQL runs as another user, who must be able to reach its data.
  const folder = mkdtempSync(join(process.getuid?.() === 0 ? "/var/lib" : tmpdir(), "xvault-e2e-"));
  chmodSync(folder, 0o755);
  const [port, dataPort] = [await freePort(), await freePort()];
  const stack = {
    url: `http://localhost:${port}`,
    dataUrl: `http://localhost:${dataPort}`,
    adminEmail: "admin@example.test",
    adminPassword: `admin ${randomBytes(9).toString("hex")}`,
    folder,
  };
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name)));
  const start = startChild(["node", "tooling/start.ts"], {
    cwd: ROOT,
    env: {
      ...env,
      PORT: String(port),
      XVAULT_DATA_PORT: String(dataPort),
      XVAULT_HOME: join(folder, "xvault"),
      XVAULT_DEMO: "0",
      XVAULT_ADMIN_EMAIL: stack.adminEmail,
      XVAULT_ADMIN_PASSWORD: stack.adminPassword,
    },
  });
  const end = async () => {
    await start.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(start, `${stack.url}/readyz`);
    await untilReady(start, `${stack.dataUrl}/readyz`);
  } catch (error) {
    await end();
    throw error;
  }
  announceStack(stack);
  return end;
}
