import { type XVaultError, toXVaultError } from "@xvault/kernel";
import { resolveAllowed } from "./address.ts";
import { connectSource } from "./connection.ts";
import { failed } from "./path-checks.ts";
import type { ConnectOptions, PreflightCheck, SourceConnection } from "./types.ts";

/**
 * The whole series of checks, from the name's resolution to the paths. An expected failure ends the series as its last check; only
 * cancelling throws.
 */
export async function preflightSource(
  options: ConnectOptions,
  paths: readonly string[],
): Promise<{ ok: boolean; checks: PreflightCheck[] }> {
  const checks: PreflightCheck[] = [];
  const done = () => ({ ok: checks.every((check) => check.status !== "failed"), checks });
  let addresses: string[];
  try {
    addresses = await resolveAllowed(options.host, options.policy, options.resolve);
    checks.push({
      id: "address",
      label: "Address",
      status: "ok",
      message: `${options.host} is ${addresses.join(", ")}.`,
    });
  } catch (error) {
    checks.push(failed("address", "Address", error));
    return done();
  }
  let connection: SourceConnection;
  try {
    // The addresses were checked; what is connected to is one of them.
    const resolve = () => Promise.resolve(addresses);
    connection = await connectSource({ ...options, resolve });
  } catch (error) {
    const known = toXVaultError(error);
    if (known.code === "CANCELLED") throw known;
    connectChecks(checks, options, known);
    return done();
  }
  try {
    connectChecks(checks, options, null);
    checks.push(...(await connection.preflight({ paths, ...(options.signal ? { signal: options.signal } : {}) })));
  } catch (error) {
    const known = toXVaultError(error);
    if (known.code === "CANCELLED") throw known;
    checks.push(failed("source", "Source", known));
  } finally {
    connection.close();
  }
  return done();
}

/** The steps of connecting, up to the one that failed. */
function connectChecks(checks: PreflightCheck[], options: ConnectOptions, error: XVaultError | null): void {
  const steps: [id: string, label: string, message: string, codes: string[]][] = [
    [
      "reach",
      "Reachable",
      `Port ${options.port} answers.`,
      ["HOST_UNREACHABLE", "HOST_UNRESOLVED", "TARGET_FORBIDDEN"],
    ],
    ["host-key", "Host key", `The server has the confirmed key ${options.hostKey.fingerprint}.`, ["HOST_KEY_CHANGED"]],
    ["login", "Login", `'${options.username}' is logged in.`, []],
  ];
  // A credential that cannot be used is found before anything is connected.
  const early = error !== null && ["USERNAME_INVALID", "KEY_INVALID", "KEY_PASSPHRASE_REQUIRED"].includes(error.code);
  for (const [id, label, message, codes] of steps) {
    const here =
      error !== null && (codes.includes(error.code) || (codes.length === 0 && error.code !== "REMOTE_FAILED"));
    if (here) {
      checks.push(failed(id, label, error));
      return;
    }
    if (!early) checks.push({ id, label, status: "ok", message });
  }
  if (error) checks.push(failed("tools", "Tools", error));
}
