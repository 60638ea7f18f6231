import { join } from "node:path";
import { expect, type Locator, type Page } from "@playwright/test";
import { settled } from "./inspection.ts";

/** What is never twice the same: times become bars of one size, so that columns keep their widths. */
const STYLE = join(import.meta.dirname, "baselines.css");
/** Tall, so that all of a page is there at once and none of it is scrolled away. */
const SCREENS = [
  { width: 1280, height: 3200 },
  { width: 390, height: 6400 },
];

/**
 * Compares what `target` shows with its pictures in `baselines/`, on a desk and on a phone, light and dark. After a change that is meant:
 * `npm run baselines -w @xvault/e2e`, and look at them.
 */
export async function expectBaseline(page: Page, target: Locator, name: string): Promise<void> {
  const before = page.viewportSize() ?? { width: 1280, height: 800 };
  await page.mouse.move(0, 0);
  for (const screen of SCREENS) {
    await page.setViewportSize(screen);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await expect(page.locator("html")).toContainClass(colorScheme);
      await settled(page);
      await expect(target).toHaveScreenshot(`${name}-${screen.width}-${colorScheme}.png`, { stylePath: STYLE });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(before);
}
