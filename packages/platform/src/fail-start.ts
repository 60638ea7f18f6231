import { toXVaultError } from "@xvault/kernel";

/** Ends a process that cannot start: says the cause and the fix, for people, on standard error. Unexpected errors come with their stack. */
export function failStart(error: unknown): never {
  const failure = toXVaultError(error);
  process.stderr.write(`cannot start (${failure.code}): ${failure.message}\nfix: ${failure.fix}\n`);
  if (failure.code === "INTERNAL" && error instanceof Error) process.stderr.write(`${error.stack ?? error.message}\n`);
  process.exit(1);
}
