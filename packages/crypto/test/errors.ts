import { XVaultError, type ErrorCode } from "@xvault/kernel";
import { expect } from "vitest";

/** The error that `action` fails with, which must carry `code`. */
export async function failure(code: ErrorCode, action: () => unknown): Promise<XVaultError> {
  let thrown: unknown;
  try {
    await action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `expected the error ${code}`).toBeInstanceOf(XVaultError);
  expect((thrown as XVaultError).code).toBe(code);
  return thrown as XVaultError;
}
