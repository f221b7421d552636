// Real players for the Rust scenes: pages in headless Chromium that watch a stream until standard input ends, and tell then what they showed.
// usage: watching_pages LINK COUNT
//
// The first line of the output is {"playing": COUNT}. Each line of the input is answered by {"widths": [...]}, what each page shows now. At the end
// there is a line for each page: {"frames": [when a new picture was shown, ms since the Unix epoch], "states": [what the player said it was doing],
// "widths": [[since when, how wide]], "documents": how often the page was loaded}.
import { createInterface } from "node:readline";
import type { Page } from "@playwright/test";
import { launchChromium } from "./chromium.ts";

interface Seen {
  frames: number[];
  states: string[];
  widths: [number, number][];
}

/** How long the first picture may take on a busy machine. */
const PLAYING_TIME_MAX_MS = 60_000;

/** Notes in a page what its player shows, from its first picture on. */
async function watch(page: Page, link: string): Promise<void> {
  let documents = 0;
  await page.exposeFunction("loaded", () => (documents += 1));
  await page.addInitScript(() => void (globalThis as unknown as { loaded: () => void }).loaded());
  await page.goto(link);
  await page.locator('live-player[data-state="playing"]').waitFor({ timeout: PLAYING_TIME_MAX_MS });
  await page.evaluate(() => {
    const player = document.querySelector("live-player") as HTMLElement & { video: HTMLVideoElement };
    const seen: Seen = { frames: [], states: [], widths: [] };
    Object.assign(globalThis, { seen });
    player.addEventListener("statechange", (event) => {
      seen.states.push((event as CustomEvent<{ kind: string }>).detail.kind);
    });
    let count = 0;
    let width = 0;
    setInterval(() => {
      const now = performance.timeOrigin + performance.now();
      // Frames, not the playhead: the last picture is declared to last longer than it should.
      const frames = player.video.getVideoPlaybackQuality().totalVideoFrames;
      if (frames !== count) seen.frames.push(Math.round(now));
      count = frames;
      if (player.video.videoWidth !== width) seen.widths.push([Math.round(now), player.video.videoWidth]);
      width = player.video.videoWidth;
    }, 10);
  });
  loads.set(page, () => documents);
}

const loads = new Map<Page, () => number>();
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);

const [link, count] = process.argv.slice(2);
if (!link || !count) {
  console.error("usage: watching_pages LINK COUNT");
  process.exit(2);
}
const browser = await launchChromium();
try {
  const pages: Page[] = [];
  for (let n = 0; n < Number(count); n++) {
    // A browser context of its own: nothing is shared, and the page is never in the background.
    const page = await (await browser.newContext({ viewport: { width: 640, height: 360 } })).newPage();
    await watch(page, link);
    pages.push(page);
  }
  say({ playing: pages.length });
  for await (const _line of createInterface({ input: process.stdin })) {
    const widths = pages.map(async (page) => {
      return await page.evaluate(() => document.querySelector("live-player")?.video.videoWidth ?? 0);
    });
    say({ widths: await Promise.all(widths) });
  }
  for (const page of pages) {
    const seen = await page.evaluate(() => (globalThis as unknown as { seen?: Seen }).seen);
    // What a page that was loaded again had seen is gone with the document: that is told.
    say({ frames: [], states: [], widths: [], ...seen, documents: loads.get(page)?.() ?? 0 });
  }
} finally {
  await browser.close();
}
