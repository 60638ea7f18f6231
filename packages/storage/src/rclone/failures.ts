import { XVaultError } from "@xvault/kernel";

const FULL =
  /no space left|quota|insufficient.?(storage|space)|out of (storage )?space|not enough (storage |free )?space|storage (limit|is full)|\b507\b/i;
const REFUSED =
  /access.?denied|permission denied|unauthori[sz]ed|forbidden|\b40[13]\b|invalid.?(credential|grant|client|login|access)|login incorrect|logon failure|authentication (failed|required)|token expired|empty token|couldn't (find|decode) .*token|\b530\b/i;
const MAX_WORDS = 300;

/** What hides the secrets of one remote in what rclone says. */
export type Scrub = (text: string) => string;

/** Hides `secrets` as they are, within JSON (tokens) and percent-encoded; the queries of URLs, which providers sign; and line ends. */
export function scrubber(secrets: readonly string[]): Scrub {
  const hidden = new Set<string>();
  for (const secret of secrets) {
    for (const text of [secret, ...textsIn(secret)]) {
      if (text.length < 4) continue;
      hidden.add(text);
      hidden.add(encodeURIComponent(text));
      hidden.add(JSON.stringify(text).slice(1, -1));
    }
  }
  const longestFirst = [...hidden].toSorted((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of longestFirst) clean = clean.replaceAll(secret, "[secret]");
    return (
      clean
        .replaceAll(/(https?:\/\/[^\s"?]+)\?[^\s"]*/g, "$1?…")
        // Meant for whoever runs rclone by hand.
        .replaceAll(/( - [\w ]+)? "?rclone config reconnect [^\s"]*"?/g, "")
        .replaceAll(/\s+/g, " ")
        .trim()
        .slice(0, MAX_WORDS)
    );
  };
}

/** The texts within a token that is written as JSON. */
function textsIn(secret: string): string[] {
  try {
    const value: unknown = JSON.parse(secret);
    return typeof value === "object" && value !== null
      ? Object.values(value).filter((one): one is string => typeof one === "string")
      : [];
  } catch {
    return [];
  }
}

/** A failure in rclone's words, which must be scrubbed, in ours. */
export function rcloneError(operation: string, key: string, words: string): XVaultError {
  const data = { operation, key, ...(words ? { rclone: words } : {}) };
  if (FULL.test(words)) return new XVaultError("SPACE_REQUIRED", undefined, { data });
  const message = `The storage failed to ${operation}${words ? `: ${words}` : ""}.`;
  if (REFUSED.test(words))
    return new XVaultError("STORAGE_FAILED", message, {
      data,
      retry: false,
      fix: "Check the credentials of the storage, and what they are allowed to do.",
    });
  return new XVaultError("STORAGE_FAILED", message, { data });
}
