import { XVaultError } from "@xvault/kernel";

/** Waits for `work` no longer than `ms`; then, and when it fails, throws `UNAVAILABLE`. The work itself goes on. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} gave no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw new XVaultError("UNAVAILABLE", `${what} is not reachable right now.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
