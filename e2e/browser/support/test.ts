import { type BrowserContext, expect, type Page, test as base } from "@playwright/test";
import { runningStack } from "./stack.ts";

/** What a person's browser did that it should not have, and everything that it sent. */
export interface Watch {
  /** A refusal that the test provokes: Chromium writes an error to the console for each. */
  expectStatus(status: number): void;
  complaints(): string[];
  /** Addresses, headers and bodies of all requests so far. */
  sent(): string[];
}

interface Fixtures {
  /** Watches the first person's browser. */
  watch: Watch;
  /** Another person, or the same one in another browser: its own cookies. Watched as well. */
  newVisitor: () => Promise<{ context: BrowserContext; page: Page; watch: Watch }>;
  /** A picture among the results, for whoever looks at them later. */
  picture: (page: Page, name: string) => Promise<void>;
}

/**
 * Playwright's `test` at the running xVault. A test fails when a page wrote an error to the console, threw, or asked any origin other
 * than the hub and the worker's listener.
 */
export const test = base.extend<Fixtures>({
  baseURL: async ({}, use) => use(runningStack().url),
  watch: [
    async ({ context }, use) => {
      const watch = watchContext(context);
      await use(watch);
      expect(watch.complaints(), "console errors, page errors and foreign requests").toEqual([]);
    },
    { auto: true },
  ],
  newVisitor: async ({ browser }, use) => {
    const made: { context: BrowserContext; watch: Watch }[] = [];
    await use(async () => {
      const context = await browser.newContext({ baseURL: runningStack().url });
      const watch = watchContext(context);
      made.push({ context, watch });
      return { context, watch, page: await context.newPage() };
    });
    for (const { context, watch } of made) {
      expect(watch.complaints(), "console errors, page errors and foreign requests").toEqual([]);
      await context.close();
    }
  },
  picture: async ({}, use, testInfo) => {
    await use(async (page, name) => {
      await page.screenshot({ path: testInfo.outputPath(`${name}.png`), animations: "disabled" });
    });
  },
});

export { expect };

function watchContext(context: BrowserContext): Watch {
  const { url, dataUrl } = runningStack();
  const allowed = new Set([new URL(url).origin, new URL(dataUrl).origin]);
  const expected = new Set<number>();
  const complaints: string[] = [];
  const sent: string[] = [];
  context.on("console", (message) => {
    if (message.type() !== "error") return;
    const [, status] = /^Failed to load resource: .* status of (\d{3})/.exec(message.text()) ?? [];
    if (status && expected.has(Number(status))) return;
    complaints.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => complaints.push(`page error: ${error.error().stack ?? error.error().message}`));
  context.on("request", (request) => {
    const target = new URL(request.url());
    const isOwn = target.protocol === "blob:" || target.protocol === "data:" || allowed.has(target.origin);
    if (!isOwn) complaints.push(`foreign request: ${request.url()}`);
    sent.push(`${request.url()}\n${JSON.stringify(request.headers())}\n${request.postData() ?? ""}`);
  });
  return { expectStatus: (status) => expected.add(status), complaints: () => complaints, sent: () => sent };
}
