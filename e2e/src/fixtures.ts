// What browser tests share: running servers, and browsers that end with the test.
import { type Browser, type BrowserContext, test as base, type Page } from "@playwright/test";
import { launchChromium, SCREEN, serveClock } from "./chromium.ts";
import { System, type SystemOptions } from "./system.ts";
import { type Reading, readClock } from "./wall_clock.ts";

interface Fixtures {
  systemOptions: SystemOptions;
  system: System;
  /** A browser of one's own, apart from all others. */
  newBrowser: (args?: string[]) => Promise<Browser>;
  /** A page in a browser of its own. */
  newPage: () => Promise<Page>;
  /** Goes live from `/live` with a tab that shows the clock; gives the broadcaster's page and the link for viewers. */
  goLive: (title: string) => Promise<{ page: Page; link: string }>;
}

export const test = base.extend<Fixtures>({
  systemOptions: [{}, { option: true }],
  system: async ({ systemOptions }, use) => {
    const system = await System.start(systemOptions);
    await use(system);
    await system.stop();
  },
  // biome-ignore lint/correctness/noEmptyPattern: the test runner reads the fixtures' names from the pattern
  newBrowser: async ({}, use) => {
    const browsers: Browser[] = [];
    await use(async (args = []) => {
      const browser = await launchChromium({ args });
      browsers.push(browser);
      return browser;
    });
    for (const browser of browsers) await browser.close();
  },
  newPage: async ({ newBrowser }, use) => {
    await use(async () => await (await newBrowser()).newPage({ viewport: SCREEN }));
  },
  goLive: async ({ newBrowser, system }, use) => {
    const clock = await serveClock();
    await use(async (title) => {
      const context: BrowserContext = await (await newBrowser()).newContext({ viewport: SCREEN });
      const clockTab = await context.newPage();
      await clockTab.goto(clock.url);
      const page = await context.newPage();
      await page.goto(`${system.url}/live`);
      await page.getByTestId("title").fill(title);
      await page.getByTestId("go-live").click();
      const link = page.getByTestId("watch-link");
      await page.getByTestId("state").filter({ hasText: /live/i }).first().waitFor({ timeout: 30_000 });
      const url = (await link.inputValue().catch(() => null)) ?? (await link.textContent()) ?? "";
      return { page, link: url.trim() };
    });
    clock.close();
  },
});

/** Waits until the player of a page plays. */
export async function plays(page: Page, timeMaxMs = 30_000): Promise<void> {
  await page.locator('live-player[data-state="playing"]').waitFor({ timeout: timeMaxMs });
}

/** Reads the clock out of what the page's player shows. */
export async function clockOn(page: Page, durationMs: number): Promise<Reading> {
  return await page.evaluate(readClock, { durationMs, screenWidth: SCREEN.width });
}

export { expect } from "@playwright/test";
