// What browser tests share: running servers, and browsers that end with the test.
import { type Browser, test as base, expect, type Page } from "@playwright/test";
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
  /** A page on `/live` beside a tab that shows the clock, which is what it will share. */
  livePage: (system: System) => Promise<Page>;
  /** Goes live from `/live` with a tab that shows the clock; gives the broadcaster's page and the link for viewers. */
  goLive: (title: string, how?: GoLive) => Promise<{ page: Page; link: string }>;
}

interface GoLive {
  /** What viewers must know. */
  password?: string;
  /** End to end. */
  encrypted?: boolean;
  /** What lets the broadcaster go live. */
  pass?: string;
  /** A second, smaller picture is sent too. */
  smallPicture?: boolean;
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
  livePage: async ({ newBrowser }, use) => {
    const clock = await serveClock();
    await use(async (system) => {
      const context = await (await newBrowser()).newContext({ viewport: SCREEN });
      await (await context.newPage()).goto(clock.url);
      const page = await context.newPage();
      await page.goto(`${system.url}/live`);
      return page;
    });
    clock.close();
  },
  goLive: async ({ livePage, system }, use) => {
    await use(async (title, { password, encrypted, pass, smallPicture } = {}) => {
      const page = await livePage(system);
      await page.getByTestId("title").fill(title);
      if (password !== undefined) {
        await page.getByTestId("visibility-password").check();
        await page.getByTestId("new-password").fill(password);
      }
      if (encrypted) await page.getByTestId("sealed").check();
      if (smallPicture) await page.getByTestId("small-picture").check();
      if (pass !== undefined) await page.getByTestId("pass").fill(pass);
      await page.getByTestId("go-live").click();
      await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
      return { page, link: await page.getByTestId("watch-link").inputValue() };
    });
  },
});

/** Makes a page one of a browser without WebTransport: what it says over a WebSocket can be read along. */
export async function withoutWebTransport(page: Page): Promise<void> {
  const forget = () => void Reflect.deleteProperty(globalThis, "WebTransport");
  await page.addInitScript(forget);
  await page.evaluate(forget);
}

/** Waits until the player of a page plays. */
export async function plays(page: Page, timeMaxMs = 30_000): Promise<void> {
  await page.locator('live-player[data-state="playing"]').waitFor({ timeout: timeMaxMs });
}

/** Waits until the player of a page has shown so many more frames. */
export async function goesOn(page: Page, frames = 30): Promise<void> {
  const shown = async () =>
    await page.evaluate(
      () => document.querySelector("live-player")?.video.getVideoPlaybackQuality().totalVideoFrames ?? 0,
    );
  const before = await shown();
  await expect.poll(shown, { timeout: 30_000 }).toBeGreaterThan(before + frames);
}

/** How many colours the player of a page shows: a picture has many, a black one has few. */
export async function coloursOn(page: Page): Promise<number> {
  return await page.evaluate(() => {
    const video = document.querySelector("live-player")?.video;
    const context = new OffscreenCanvas(64, 36).getContext("2d");
    if (!video || !context) return 0;
    context.drawImage(video, 0, 0, 64, 36);
    const { data } = context.getImageData(0, 0, 64, 36);
    const colours = new Set<number>();
    for (let at = 0; at < data.length; at += 4) {
      colours.add((((data[at] ?? 0) >> 4) << 8) | (((data[at + 1] ?? 0) >> 4) << 4) | ((data[at + 2] ?? 0) >> 4));
    }
    return colours.size;
  });
}

/** What the player of a page has counted as tampered with; null where it can't tell. */
export async function tamperedOn(page: Page): Promise<number | null> {
  return await page.evaluate(() => document.querySelector("live-player")?.stats.tampered ?? null);
}

/** How long a busy machine may take to show the frames that are waited for. */
const FRAMES_TIME_MAX_MS = 40_000;

/** Reads the clock in what the page's player shows, until it was found in so many frames. */
export async function clockOn(page: Page, frames: number): Promise<Reading> {
  return await page.evaluate(readClock, { durationMs: FRAMES_TIME_MAX_MS, screenWidth: SCREEN.width, frames });
}

declare global {
  interface HTMLElementTagNameMap {
    /** What the tests use of the player. */
    "live-player": HTMLElement & {
      video: HTMLVideoElement;
      stats: {
        tampered: number | null;
        reconnects: number;
        chunksSkipped: number;
        transport: string | null;
        soundBehindMs: number | null;
      };
    };
  }
}

export { expect };
