// Whether latency grows or shrinks while a stream goes on.
import { plays } from "../src/fixtures.ts";
import { percentile } from "../src/wall_clock.ts";
import type { Part } from "./part.ts";
import { readFor } from "./readings.ts";
import { sleep, WARM_UP_MS } from "./stage.ts";

const READINGS = 10;
const READING_MS = 60_000;
const READINGS_QUICK = 6;
const READING_QUICK_MS = 10_000;
/** What counts as no drift, over a minute. */
const SLOPE_MAX_MS = 1;

/** The slope of the straight line through the points, by least squares. */
export function slope(points: [number, number][]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const over = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  return over / points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
}

export const driftPart: Part = {
  name: "drift",
  title: "Drift",
  async measure(stage) {
    const system = await stage.system();
    const screen = await stage.clockScreen();
    const { link } = await system.broadcast(["--source", "screen", "--title", "Drift"], screen.env);
    const { page } = await stage.page();
    await page.goto(link);
    await plays(page);
    await sleep(WARM_UP_MS);
    const [readings, readingMs] = stage.quick ? [READINGS_QUICK, READING_QUICK_MS] : [READINGS, READING_MS];
    await stage.measure(async () => {
      const points: [number, number][] = [];
      let unreadable = 0;
      const begin = performance.now();
      for (let n = 0; n < readings; n++) {
        const minute = (performance.now() - begin + readingMs / 2) / 60_000;
        const reading = await readFor(page, readingMs);
        unreadable += reading.unreadable;
        points.push([minute, percentile(reading.latenciesMs, 0.5)]);
      }
      const perMinute = slope(points);
      const minutes = (performance.now() - begin) / 60_000;
      const p50s = points.map(([, p50]) => p50.toFixed(0)).join(", ");
      return [
        {
          id: "drift",
          what: `latency of X screen → page over ${minutes.toFixed(0)} minutes`,
          result: `${perMinute >= 0 ? "+" : "−"}${Math.abs(perMinute).toFixed(2)} ms per minute`,
          value: Math.abs(perMinute),
          target: { max: SLOPE_MAX_MS, text: `at most ±${SLOPE_MAX_MS} ms per minute` },
          notes: `p50 of each ${(readingMs / 1000).toFixed(0)} s: ${p50s} ms; ${unreadable} frames unreadable.`,
        },
      ];
    });
  },
};
