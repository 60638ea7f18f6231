import { randomBytes } from "node:crypto";

/** A secret that occurs nowhere else in the world, so that finding it anywhere is a leak. */
export function newCanary(label: string): string {
  return `canary-${label}-${randomBytes(12).toString("hex")}`;
}

/** Every form that a text may take on its way: plain, in JSON, in hex, in base64 and base64url at any alignment. */
function formsOf(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const forms = new Set([text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text), bytes.toString("hex")]);
  for (const shift of [0, 1, 2]) {
    // The characters at both ends depend on the neighbours; those between do not.
    const code = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replace(/=+$/, "")
      .slice(4, -4);
    if (code.length < 12) continue;
    forms.add(code);
    forms.add(code.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return [...forms].map((form) => Buffer.from(form));
}

/** The names of those secrets (name → text) that occur in `haystack` in any form. A secret of several lines is found by any long one. */
export function findSecrets(haystack: Buffer | string, secrets: Readonly<Record<string, string>>): string[] {
  const hay = typeof haystack === "string" ? Buffer.from(haystack) : haystack;
  return Object.entries(secrets)
    .filter(([, secret]) =>
      secret
        .split("\n")
        .filter((line) => line.length >= 12 && !line.startsWith("-----"))
        .some((line) => formsOf(line).some((form) => hay.includes(form))),
    )
    .map(([name]) => name);
}
