// From opening a stream that has long been live to its first picture.
import type { Page } from "@playwright/test";
import { percentile } from "../src/wall_clock.ts";
import type { Finding } from "./figure.ts";
import type { Part } from "./part.ts";
import { ms } from "./readings.ts";
import { PAGE_PRELUDE, type Stage, sleep, WARM_UP_MS } from "./stage.ts";

const JOINS = 30;
const JOINS_QUICK = 5;
/** Joins fall on random moments of the time between two key frames. */
const KEY_FRAME_INTERVAL_MS = 2_000;
const FIRST_PICTURE_TIME_MAX_MS = 15_000;
const P50_MAX_MS = 300;

/** Runs in the page before its own scripts: keeps when the card was clicked and when the player's first frame is on the screen. */
const WATCH_FOR_FIRST_PICTURE = `${PAGE_PRELUDE}
addEventListener("click", (event) => { window.clickedAt = event.timeStamp; }, true);
window.firstPicture = new Promise((resolve) => {
  const look = () => {
    const video = document.querySelector("live-player")?.video;
    if (!video) return requestAnimationFrame(look);
    video.requestVideoFrameCallback((now, metadata) => resolve(Math.max(now, metadata.expectedDisplayTime || 0)));
  };
  look();
});`;

async function firstPictureAt(page: Page): Promise<number> {
  const shown = page.evaluate(() => (window as unknown as { firstPicture: Promise<number> }).firstPicture);
  const late = sleep(FIRST_PICTURE_TIME_MAX_MS).then(() => {
    throw new Error(`no picture within ${FIRST_PICTURE_TIME_MAX_MS} ms`);
  });
  return await Promise.race([shown, late]);
}

/** A click on the stream's card in a page that shows the list. */
async function fromList(page: Page, listUrl: string): Promise<number> {
  await page.goto(listUrl);
  const card = page.getByTestId("stream-card").first();
  await card.waitFor();
  await sleep(1_000 + Math.random() * KEY_FRAME_INTERVAL_MS);
  await card.click();
  const at = await firstPictureAt(page);
  return at - (await page.evaluate(() => (window as unknown as { clickedAt: number }).clickedAt));
}

/** Navigation to the link in a browser that runs but has never seen these pages: its cache is empty. */
async function fromLink(page: Page, link: string): Promise<number> {
  await sleep(500 + Math.random() * KEY_FRAME_INTERVAL_MS);
  await page.goto(link, { waitUntil: "commit" });
  // Times of a page count from the start of its navigation.
  return await firstPictureAt(page);
}

function finding(o: { id: string; what: string; times: number[]; notes: string; target: boolean }): Finding {
  const at = (share: number) => percentile(o.times, share);
  const p50 = at(0.5);
  return {
    id: o.id,
    what: o.what,
    result: `p50 ${ms(p50)}, p95 ${ms(at(0.95))}`,
    value: p50,
    ...(o.target ? { target: { max: P50_MAX_MS, text: `p50 ≤ ${P50_MAX_MS} ms` } } : {}),
    notes: `${o.times.length} joins at random moments of a 2 s segment; min ${ms(Math.min(...o.times))}, max ${ms(Math.max(...o.times))}; ${o.notes}.`,
  };
}

async function joins(stage: Stage, join: () => Promise<number>): Promise<number[]> {
  // The first join warms the browser and does not count.
  await join();
  const times: number[] = [];
  while (times.length < (stage.quick ? JOINS_QUICK : JOINS)) times.push(await join());
  return times;
}

export const lateJoinPart: Part = {
  name: "late_join",
  title: "Late join: from opening a stream to its first picture",
  async measure(stage) {
    const system = await stage.system();
    const { link } = await system.broadcast(["--source", "test", "--title", "Late join"]);
    await sleep(WARM_UP_MS);
    const { browser } = await stage.browser();
    await stage.measure(async () => {
      const context = await browser.newContext();
      await context.addInitScript({ content: WATCH_FOR_FIRST_PICTURE });
      const page = await context.newPage();
      const times = await joins(stage, () => fromList(page, `${system.url}/view`));
      await context.close();
      const notes = "from the click to the first frame on the screen";
      return [finding({ id: "late_join_list", what: "click in the live list", times, notes, target: true })];
    });
    await stage.measure(async () => {
      const times = await joins(stage, async () => {
        const context = await browser.newContext();
        await context.addInitScript({ content: WATCH_FOR_FIRST_PICTURE });
        const time = await fromLink(await context.newPage(), link);
        await context.close();
        return time;
      });
      const notes = "from the start of the navigation, with an empty cache, so the page's own loading is in it";
      return [finding({ id: "late_join_link", what: "cold link", times, notes, target: true })];
    });
  },
};
