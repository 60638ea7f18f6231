import { describe, expect, test } from "vitest";
import { rcloneError, scrubber } from "./failures.ts";

describe("rclone's words", () => {
  test.each([
    "write /x: no space left on device",
    "googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded",
    "insufficient_space/..",
    "507 Insufficient Storage",
    "quotaLimitReached: Insufficient Space Available",
  ])("tell of a storage that is full: %s", (words) => {
    expect(rcloneError("write an object", "a", words).code).toBe("SPACE_REQUIRED");
  });

  test.each([
    'couldn\'t list files: Unauthorized: "401 Unauthorized"',
    "AccessDenied: Access Denied",
    "530 Login incorrect.",
    "token expired and there's no refresh token",
    "oauth2: cannot fetch token: 400 Bad Request Response: invalid_grant",
  ])("tell of credentials that are refused: %s", (words) => {
    const error = rcloneError("list objects", "a", words);
    expect([error.code, error.retry]).toEqual(["STORAGE_FAILED", false]);
    expect(error.fix).toContain("credentials");
  });

  test("else are a failure that may pass", () => {
    const error = rcloneError("list objects", "a", "connection reset by peer");
    expect([error.code, error.retry]).toEqual(["STORAGE_FAILED", true]);
    expect(error.message).toBe("The storage failed to list objects: connection reset by peer.");
    expect(error.data).toEqual({ operation: "list objects", key: "a", rclone: "connection reset by peer" });
  });

  test("are told without advice for whoever runs it by hand", () => {
    const words = 'empty token found - please run "rclone config reconnect xv{dqWHA}:"';
    expect(scrubber([])(words)).toBe("empty token found");
  });

  test("are told without secrets, within tokens and percent-encoded too, without signed queries, on one line", () => {
    const scrub = scrubber([
      'pass"word/1',
      '{"access_token":"ya29.abc","refresh_token":"1//def","expiry":"2026"}',
      "xy",
    ]);
    expect(scrub('failed: pass"word/1 and ya29.abc,\n 1//def')).toBe("failed: [secret] and [secret], [secret]");
    expect(scrub("GET /?p=pass%22word%2F1 xy")).toBe("GET /?p=[secret] xy");
    expect(scrub('{"a":"pass\\"word/1"}')).toBe('{"a":"[secret]"}');
    expect(scrub('Put "https://a.example/b?sig=abc&x=1": timeout')).toBe('Put "https://a.example/b?…": timeout');
    expect(scrub("x".repeat(5000)).length).toBe(300);
  });
});
