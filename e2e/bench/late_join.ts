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
const P50_FROM_SOCKET_MAX_MS = 150;

/** Runs in the page before its own scripts: keeps when the card was clicked, when the first way to a relay was open, and when the
 * player's first frame is on the screen. */
const WATCH_FOR_FIRST_PICTURE = `${PAGE_PRELUDE}
addEventListener("click", (event) => { window.clickedAt = event.timeStamp; window.openAt = undefined; }, true);
const opened = () => { window.openAt ??= performance.now(); };
window.WebSocket = class extends WebSocket {
  constructor(...args) { super(...args); this.addEventListener("open", opened); }
};
if (window.WebTransport) window.WebTransport = class extends WebTransport {
  constructor(...args) { super(...args); this.ready.then(opened, () => {}); }
};
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

/** The first picture, counted from the click or the navigation, and from when the first way to the relay was open. */
interface Join {
  ms: number;
  fromSocketMs: number;
}

async function measured(page: Page): Promise<Join> {
  const at = await firstPictureAt(page);
  const since = await page.evaluate(() => {
    const { clickedAt = 0, openAt = Number.NaN } = window as unknown as { clickedAt?: number; openAt?: number };
    return { clickedAt, openAt };
  });
  return { ms: at - since.clickedAt, fromSocketMs: at - since.openAt };
}

/** A click on the stream's card in a page that shows the list. */
async function fromList(page: Page, listUrl: string): Promise<Join> {
  await page.goto(listUrl);
  const card = page.getByTestId("stream-card").first();
  await card.waitFor();
  await sleep(1_000 + Math.random() * KEY_FRAME_INTERVAL_MS);
  await card.click();
  return await measured(page);
}

/** Navigation to the link in a browser that runs but has never seen these pages: its cache is empty. */
async function fromLink(page: Page, link: string): Promise<Join> {
  await sleep(500 + Math.random() * KEY_FRAME_INTERVAL_MS);
  await page.goto(link, { waitUntil: "commit" });
  // Times of a page count from the start of its navigation.
  return await measured(page);
}

function finding(o: { id: string; what: string; times: number[]; notes: string; p50Max: number }): Finding {
  const at = (share: number) => percentile(o.times, share);
  const p50 = at(0.5);
  return {
    id: o.id,
    what: o.what,
    result: `p50 ${ms(p50)}, p95 ${ms(at(0.95))}`,
    value: p50,
    target: { max: o.p50Max, text: `p50 ≤ ${o.p50Max} ms` },
    notes: `${o.times.length} joins at random moments of a 2 s segment; min ${ms(Math.min(...o.times))}, max ${ms(Math.max(...o.times))}; ${o.notes}.`,
  };
}

async function joins(stage: Stage, join: () => Promise<Join>): Promise<Join[]> {
  // The first join warms the browser and does not count.
  await join();
  const times: Join[] = [];
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
      const list = times.map(({ ms }) => ms);
      const socket = times.map(({ fromSocketMs }) => fromSocketMs);
      return [
        finding({
          id: "late_join_list",
          what: "click in the live list",
          times: list,
          notes: "from the click to the first frame on the screen",
          p50Max: P50_MAX_MS,
        }),
        finding({
          id: "late_join_socket",
          what: "the same, after the socket has opened",
          times: socket,
          notes: "from the moment when the first of the two transports is open",
          p50Max: P50_FROM_SOCKET_MAX_MS,
        }),
      ];
    });
    await stage.measure(async () => {
      const times = await joins(stage, async () => {
        const context = await browser.newContext();
        await context.addInitScript({ content: WATCH_FOR_FIRST_PICTURE });
        const join = await fromLink(await context.newPage(), link);
        await context.close();
        return join;
      });
      const cold = times.map(({ ms }) => ms);
      const notes = "from the start of the navigation, with an empty cache, so the page's own loading is in it";
      return [finding({ id: "late_join_link", what: "cold link", times: cold, notes, p50Max: P50_MAX_MS })];
    });
  },
};
