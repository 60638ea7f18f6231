import { UsageError } from "../exit-codes.ts";

const WHERE: Record<string, string> = {
  "root-key": "as in the recovery kit's line 'xvault-root-key'",
  "holder-key": "as 'xvault key show FILE' tells it",
};

/** A public key that was given as an option. @throws UsageError */
export function checkRawKey(option: "root-key" | "holder-key", text: string): string {
  const key = text.trim();
  if (Buffer.from(key, "base64").length === 32 && /^[A-Za-z0-9+/]{43}=$/.test(key)) return key;
  throw new UsageError(`--${option} is the base64 of 32 bytes, ${WHERE[option]}.`);
}
