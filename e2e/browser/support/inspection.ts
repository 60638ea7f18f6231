import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";

const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const PHONE = { width: 390, height: 844 };

/**
 * Looks at what a page shows now: by axe in light, its contrasts once more in dark, and on a phone's width. Gives what is wrong, a line
 * each.
 */
export async function inspect(page: Page, name: string): Promise<string[]> {
  const wide = page.viewportSize() ?? { width: 1280, height: 800 };
  const found: string[] = [];
  const analyze = async (mode: string, axe: AxeBuilder) => {
    await settled(page);
    // In the page itself: the other way opens a page more for each run, for the sake of frames, of which there are none.
    for (const { id, nodes } of (await axe.setLegacyMode(true).analyze()).violations) {
      for (const { target, failureSummary } of nodes) {
        found.push(`${name}, ${mode}: ${id} at ${target.join(" ")}: ${failureSummary?.split("\n").at(-1)?.trim()}`);
      }
    }
  };
  await analyze("light", new AxeBuilder({ page }).withTags(WCAG));
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(page.locator("html")).toContainClass("dark");
  await analyze("dark", new AxeBuilder({ page }).withRules(["color-contrast", "link-in-text-block"]));
  await page.emulateMedia({ colorScheme: "light" });
  await expect(page.locator("html")).not.toContainClass("dark");
  await page.setViewportSize(PHONE);
  await settled(page);
  for (const place of await page.evaluate(tooWide)) found.push(`${name}, 390 px: ${place}`);
  await page.setViewportSize(wide);
  return found;
}

/** Waits until nothing loads and nothing moves any more. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator(".animate-pulse")).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((one) => one.effect?.getComputedTiming().iterations !== Number.POSITIVE_INFINITY)
        // In what is folded away, such as the stepper's options, a transition that has begun does not go on.
        .filter((one) => !(one.effect instanceof KeyframeEffect) || one.effect.target?.checkVisibility() === true)
        .map((one) => one.finished.catch(() => null)),
    ),
  );
}

/** What reaches over the right edge of the screen, where only tables and code may be moved sideways. Runs in the page. */
function tooWide(): string[] {
  const limit = document.documentElement.clientWidth + 1;
  const found: string[] = [];
  if (document.documentElement.scrollWidth > limit) found.push("the page scrolls sideways");
  for (const element of document.querySelectorAll("body *")) {
    const { clientWidth, clientHeight, scrollWidth } = element;
    const isPage = clientWidth > limit * 0.9 && clientHeight > innerHeight * 0.6;
    if (isPage && scrollWidth > clientWidth + 1 && getComputedStyle(element).overflowX !== "visible") {
      found.push(`the content scrolls sideways or is cut off (${scrollWidth} px)`);
    }
  }
  for (const control of document.querySelectorAll("main button, main a, main input, main select, main textarea")) {
    const { right, width, height } = control.getBoundingClientRect();
    const inMovable = control.closest("table, pre, nav, .overflow-x-auto, .sr-only") !== null;
    if (width > 1 && height > 1 && right > limit && !inMovable) {
      found.push(
        `out of reach: ${control.textContent?.trim() || control.getAttribute("aria-label") || control.tagName}`,
      );
    }
  }
  return found;
}
