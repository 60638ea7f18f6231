import { defineConfig } from "@playwright/test";
import { CHROMIUM } from "./browser/support/prerequisites.ts";

// The screenshots of the documentation are made on request alone: npm run screenshots -w @xvault/e2e
const SCREENSHOTS = "**/screenshots.spec.ts";
const wantsScreenshots = process.env["XVAULT_SCREENSHOTS"] === "1";

export default defineConfig({
  testDir: "browser",
  outputDir: "test-results",
  globalSetup: "./browser/support/global-setup.ts",
  projects: [
    wantsScreenshots
      ? { name: "screenshots", testMatch: SCREENSHOTS }
      : { name: "browser", testMatch: "**/*.spec.ts", testIgnore: SCREENSHOTS },
  ],
  workers: 2,
  retries: 0,
  // Generous: whoever waits, waits for a condition, and a busy machine is no failure.
  timeout: 180_000,
  expect: {
    timeout: 60_000,
    // What another machine draws otherwise is less; a word that is missing is more.
    toHaveScreenshot: { maxDiffPixelRatio: 0.0005 },
  },
  snapshotPathTemplate: "{testDir}/baselines/{arg}{ext}",
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    actionTimeout: 60_000,
    navigationTimeout: 60_000,
    screenshot: "only-on-failure",
    launchOptions: {
      // Debian's; nothing is downloaded.
      executablePath: CHROMIUM,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        // Text as wide on every machine, however its fonts are set up.
        "--font-render-hinting=none",
        "--disable-lcd-text",
      ],
    },
  },
});
