// How soon a change of an X screen is at the relay, and how many changes a second are.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SCREEN } from "../src/chromium.ts";
import { ProtocolViewer } from "../src/protocol_viewer.ts";
import { percentile } from "../src/wall_clock.ts";
import { type Rectangle, XPainter } from "../src/x_painter.ts";
import type { Finding } from "./figure.ts";
import { FILM_PAGE, STILL_PAGE } from "./pages.ts";
import type { Part } from "./part.ts";
import { ms } from "./readings.ts";
import { type Stage, sleep, WARM_UP_MS } from "./stage.ts";

/** Where is painted: a corner that no film reaches. */
const PATCH: Rectangle = { x: 8, y: 8, width: 128, height: 64 };
const [DARK, LIGHT] = [0x202020, 0xe0e0e0];
/** Between the two in the decoded picture. */
const MIDDLE = 128;
/** What of the patch is decoded. */
const DECODED = { side: 16, inset: 24 };

const CHANGES = 120;
const CHANGES_QUICK = 24;
/** Changes come at random moments this far apart, so that they know nothing of the capture's rhythm. */
const PAUSE_MS = { min: 200, max: 500 };
/** A change that is not there by then was missed. */
const ARRIVAL_MS_MAX = 2_000;

const FAST_FRAMES_PER_SECOND = 60;
const FAST_FRAMES_PER_SECOND_MIN = 58;
const FAST_SECONDS = 15;
const FAST_SECONDS_QUICK = 5;

interface Change {
  at: number;
  isLight: boolean;
}

/** How light the patch is in each chunk of the picture, in the order of arrival. */
async function patchLevels(viewer: ProtocolViewer): Promise<number[]> {
  const { side, inset } = DECODED;
  const filter = `crop=${side}:${side}:${PATCH.x + inset}:${PATCH.y + inset},format=gray`;
  const args = ["-v", "error", "-i", "pipe:0", "-fps_mode", "passthrough", "-vf", filter, "-f", "rawvideo", "pipe:1"];
  const decode = promisify(execFile)("ffmpeg", args, { encoding: "buffer", maxBuffer: 1024 * 1024 * 64 });
  decode.child.stdin?.end(viewer.file(1));
  const { stdout } = await decode;
  const levels: number[] = [];
  for (let at = 0; at < stdout.length; at += side * side) {
    const pixels = stdout.subarray(at, at + side * side);
    levels.push(pixels.reduce((sum, level) => sum + level, 0) / pixels.length);
  }
  return levels;
}

async function change(painter: XPainter, count: number): Promise<Change[]> {
  const changes: Change[] = [];
  for (let n = 0; n < count; n++) {
    const isLight = n % 2 === 0;
    changes.push({ at: await painter.fill(isLight ? LIGHT : DARK, PATCH), isLight });
    await sleep(PAUSE_MS.min + Math.random() * (PAUSE_MS.max - PAUSE_MS.min));
  }
  return changes;
}

/** From each change to the arrival of the first chunk that shows it. */
async function delays(viewer: ProtocolViewer, changes: Change[]): Promise<number[]> {
  const chunks = viewer.chunks(1);
  const levels = await patchLevels(viewer);
  if (levels.length !== chunks.length) {
    throw new Error(`${chunks.length} chunks arrived, and ${levels.length} frames are in them`);
  }
  return changes.flatMap(({ at, isLight }) => {
    const shows = (n: number) => (levels[n] ?? 0) > MIDDLE === isLight;
    const after = chunks.findIndex(({ arrivedAtMs }) => arrivedAtMs > at);
    const first = chunks.findIndex((_, n) => n >= after && shows(n));
    // Where the page has painted over it meanwhile, nothing changed.
    const delay = after < 1 || shows(after - 1) ? undefined : (chunks[first]?.arrivedAtMs ?? Number.NaN) - at;
    return delay !== undefined && delay <= ARRIVAL_MS_MAX ? [delay] : [];
  });
}

async function captureToWire(stage: Stage, o: { id: string; what: string; html: string }): Promise<void> {
  const system = await stage.system();
  const screen = await stage.screenWith(o.html);
  const painter = await XPainter.open(screen.env.DISPLAY);
  stage.atEnd(() => painter.close());
  await painter.fill(DARK, PATCH);
  const { link } = await system.broadcast(["--source", "screen", "--title", "Capture"], screen.env);
  await sleep(WARM_UP_MS);
  const viewer = await ProtocolViewer.watch(link);
  stage.atEnd(() => viewer.close());
  await viewer.until((seen) => seen.chunks(1).length > 0);
  // The page may have painted over it while it was loaded.
  await painter.fill(DARK, PATCH);
  await sleep(PAUSE_MS.max);
  await stage.measure(async () => {
    const changes = await change(painter, stage.quick ? CHANGES_QUICK : CHANGES);
    const found = await delays(viewer, changes);
    if (found.length < changes.length / 2) throw new Error(`${found.length} of ${changes.length} changes were seen`);
    return [captureFinding({ ...o, found, changes: changes.length })];
  });
  await stage.close();
}

function captureFinding(o: { id: string; what: string; found: number[]; changes: number }): Finding {
  const at = (share: number) => percentile(o.found, share);
  return {
    id: o.id,
    what: o.what,
    result: `p50 ${ms(at(0.5))}, p95 ${ms(at(0.95))}`,
    value: at(0.5),
    target: { max: 40, text: "p50 ≤ 40 ms" },
    notes: `min ${ms(Math.min(...o.found))}, max ${ms(Math.max(...o.found))}; ${o.found.length} of ${o.changes} changes were seen.`,
  };
}

/** Something that moves sixty times a second, and how often it arrives. */
async function fastFrames(stage: Stage): Promise<void> {
  const system = await stage.system();
  const screen = await stage.screenWith(STILL_PAGE);
  const painter = await XPainter.open(screen.env.DISPLAY);
  stage.atEnd(() => painter.close());
  const flags = ["--source", "screen", "--quality", "720p60", "--title", "Fast"];
  const { link } = await system.broadcast(flags, screen.env);
  let painted = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * FAST_FRAMES_PER_SECOND;
    for (; painted < due; painted++) {
      const x = PATCH.x + ((painted * 8) % (SCREEN.width - 2 * PATCH.x - PATCH.width));
      void painter.fill(painted % 2 === 0 ? DARK : LIGHT, { ...PATCH, x });
    }
  }, 2);
  stage.atEnd(() => clearInterval(timer));
  await sleep(WARM_UP_MS);
  const viewer = await ProtocolViewer.watch(link);
  stage.atEnd(() => viewer.close());
  await viewer.until((seen) => seen.chunks(1).length > FAST_FRAMES_PER_SECOND);
  await stage.measure(async () => {
    const before = viewer.chunks(1).length;
    await sleep((stage.quick ? FAST_SECONDS_QUICK : FAST_SECONDS) * 1000);
    const times = viewer
      .chunks(1)
      .slice(before)
      .map(({ capturedAtUs }) => Number(capturedAtUs) / 1000);
    const gaps = times.slice(1).map((time, n) => time - (times[n] ?? time));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    return [
      {
        id: "capture_fast",
        what: "a rectangle that moves 60 times a second, `--quality 720p60`",
        result: `${(1000 / mean).toFixed(1)} frames/s`,
        value: mean,
        target: { max: 1000 / FAST_FRAMES_PER_SECOND_MIN, text: `≥ ${FAST_FRAMES_PER_SECOND_MIN} frames/s` },
        notes: `between two frames p5 ${ms(percentile(gaps, 0.05))}, p50 ${ms(percentile(gaps, 0.5))}, p95 ${ms(percentile(gaps, 0.95))}, by their times of capture.`,
      },
    ];
  });
  await stage.close();
}

export const capturePart: Part = {
  name: "capture",
  title: "Capture to wire: from a change of an X screen to its chunk behind the relay",
  about: `A rectangle of an X screen changes its colour at random moments; each chunk that reaches a viewer is decoded afterwards, and the
first that shows the change ends its time. The relay's forwarding is in it. 1280x720, \`broadcast --source screen\`.`,
  async measure(stage) {
    await captureToWire(stage, {
      id: "capture_still",
      what: "a change of a page on which nothing moves",
      html: STILL_PAGE,
    });
    await captureToWire(stage, {
      id: "capture_film",
      what: "a change beside a film of 960x540 at 30 frames/s",
      html: FILM_PAGE,
    });
    await fastFrames(stage);
  },
};
