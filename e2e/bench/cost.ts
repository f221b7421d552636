// What publishing, relaying and watching cost one machine, in shares of a core.

import { SCREEN } from "../src/chromium.ts";
import { plays } from "../src/fixtures.ts";
import { ProtocolViewer } from "../src/protocol_viewer.ts";
import { coresUsed } from "./cpu.ts";
import type { Finding } from "./figure.ts";
import { pageCode } from "./page_code.ts";
import { FILM_PAGE, LARGE_FILM_PAGE, STILL_PAGE } from "./pages.ts";
import type { Part } from "./part.ts";
import { percentOfCore } from "./readings.ts";
import { type Stage, sleep, WARM_UP_MS } from "./stage.ts";

const READING_MS = 20_000;
const READING_QUICK_MS = 5_000;
const SETTLE_MS = 1_000;
const FRAMES_PER_SECOND = 30;

const readingMs = (stage: Stage) => (stage.quick ? READING_QUICK_MS : READING_MS);

const finding = (o: { id: string; what: string; share: number; notes: string; max?: number }): Finding => ({
  id: o.id,
  what: o.what,
  result: percentOfCore(o.share),
  value: o.share * 100,
  ...(o.max === undefined ? {} : { target: { max: o.max, text: `≤ ${o.max} %` } }),
  notes: `${o.notes}.`,
});

/** What arrives of the picture track while `body` runs: proof that the work was done. */
async function counted(link: string, body: () => Promise<void>): Promise<{ framesPerSecond: number; words: string }> {
  const viewer = await ProtocolViewer.watch(link);
  try {
    await viewer.until((seen) => seen.chunks(1).length > 0);
    // What the relay held for a late joiner comes at once and is not to be counted.
    await sleep(SETTLE_MS);
    const begin = performance.now();
    const before = viewer.media.length;
    await body();
    const chunks = viewer.media.slice(before).filter(({ kind, track }) => kind === "chunk" && track === 1);
    const seconds = (performance.now() - begin) / 1000;
    const bits = chunks.reduce((sum, chunk) => sum + chunk.payload.length * 8, 0);
    const framesPerSecond = chunks.length / seconds;
    const words = `${framesPerSecond.toFixed(1)} frames/s, ${(bits / seconds / 1e6).toFixed(2)} Mbit/s reach a viewer`;
    return { framesPerSecond, words };
  } finally {
    viewer.close();
  }
}

interface Screen {
  id: string;
  what: string;
  html: string;
  size: { width: number; height: number };
  quality: string;
  /** Something moves, thirty times a second. */
  moving: boolean;
  max: number;
}

const SCREENS: Screen[] = [
  {
    id: "cost_broadcast_moving",
    what: "`broadcast` and its ffmpeg: X screen 1280x720 at 30 frames/s, a film of 960x540 in a page of text",
    html: FILM_PAGE,
    size: SCREEN,
    quality: "720p30",
    moving: true,
    max: 35,
  },
  {
    id: "cost_broadcast_large",
    what: "the same, X screen 1920x1080 at 30 frames/s, a film of 1440x810",
    html: LARGE_FILM_PAGE,
    size: { width: 1920, height: 1080 },
    quality: "1080p30",
    moving: true,
    max: 45,
  },
  {
    id: "cost_broadcast_still",
    what: "the same, X screen 1280x720, the page of text alone: nothing moves",
    html: STILL_PAGE,
    size: SCREEN,
    quality: "720p30",
    moving: false,
    max: 3,
  },
];

async function broadcastCost(stage: Stage, o: Screen): Promise<void> {
  const system = await stage.system();
  const screen = await stage.screenWith(o.html, o.size);
  const flags = ["--source", "screen", "--quality", o.quality, "--title", "Cost"];
  const { program, link } = await system.broadcast(flags, screen.env);
  await sleep(WARM_UP_MS);
  await stage.measure(async () => {
    let share = 0;
    const arrived = await counted(link, async () => {
      share = (await coresUsed({ broadcast: program.pid }, () => sleep(readingMs(stage)))).broadcast;
    });
    // A machine that manages fewer frames must not look cheaper for it.
    if (o.moving) share *= Math.max(1, FRAMES_PER_SECOND / arrived.framesPerSecond);
    const notes = `${arrived.words}${o.moving ? `; scaled to ${FRAMES_PER_SECOND} frames/s where fewer arrive` : ""}`;
    return [finding({ id: o.id, what: o.what, share, max: o.max, notes })];
  });
  await stage.close();
}

async function pageCost(stage: Stage): Promise<void> {
  const system = await stage.system();
  const publisher = await stage.livePage(system, { title: "Cost", sound: false });
  await publisher.clockTab.bringToFront();
  await sleep(WARM_UP_MS);
  const painting = (await coresUsed({ browser: publisher.pid }, () => sleep(readingMs(stage) / 2))).browser;
  const link = await publisher.goLive();
  await publisher.page.getByRole("button", { name: "Hide" }).click();
  await sleep(WARM_UP_MS);
  await stage.measure(async () => {
    let share = 0;
    const arrived = await counted(link, async () => {
      share = (await coresUsed({ browser: publisher.pid }, () => sleep(readingMs(stage)))).browser;
    });
    const notes = `the whole browser without a preview, with the painting of the shared tab, which alone is ${percentOfCore(painting)}; ${arrived.words}`;
    return [finding({ id: "cost_publisher_page", what: "publisher's browser: a shared moving tab", share, notes })];
  });
  const { page, pid } = await stage.page();
  await page.goto(link);
  await plays(page);
  await sleep(WARM_UP_MS);
  const relay = system.relays[0]?.program.pid;
  if (relay === undefined) throw new Error("no relay");
  await stage.measure(async () => {
    const roots = { viewer: pid, relay, directory: system.directory.program.pid };
    const shares = await coresUsed(roots, () => sleep(readingMs(stage)));
    const { scripts, mainThread } = await pageCode(page, () => sleep(readingMs(stage)));
    return [
      finding({
        id: "cost_viewer_page",
        what: "viewer's browser",
        share: shares.viewer,
        notes: "the whole browser, drawing without a graphics card",
      }),
      finding({
        id: "cost_page_code",
        what: "the page's own code in that: the player",
        share: scripts,
        max: 3,
        notes: `its scripts with what they call, as the browser counts them; the page's main thread altogether ${percentOfCore(mainThread)}`,
      }),
      finding({ id: "cost_relay", what: "relay", share: shares.relay, notes: "one stream, one viewer" }),
      finding({ id: "cost_directory", what: "directory", share: shares.directory, notes: "one stream, one relay" }),
    ];
  });
}

export const costPart: Part = {
  name: "cost",
  title: "CPU, in shares of one core (user and system time)",
  async measure(stage) {
    for (const screen of SCREENS) await broadcastCost(stage, screen);
    await pageCost(stage);
  },
};
