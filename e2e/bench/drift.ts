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
/**
 * What counts as no drift: one refresh of a 60 Hz screen. Pictures change with it, so that latency moves in steps of it whenever
 * capture and screen fall into step in another way; anything that grows passes it within the run.
 */
const DEPARTURE_MAX_MS = 17;

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
      const p50s: number[] = [];
      let unreadable = 0;
      const begin = performance.now();
      for (let n = 0; n < readings; n++) {
        const reading = await readFor(page, readingMs);
        unreadable += reading.unreadable;
        p50s.push(percentile(reading.latenciesMs, 0.5));
      }
      const departures = p50s.map((p50) => Math.round(p50 - (p50s[0] ?? 0)));
      const departure = departures.reduce((most, ms) => (Math.abs(ms) > Math.abs(most) ? ms : most), 0);
      const minutes = (performance.now() - begin) / 60_000;
      return [
        {
          id: "drift",
          what: `latency of X screen → page over ${minutes.toFixed(0)} minutes`,
          result: `at most ${departure > 0 ? "+" : "−"}${Math.abs(departure)} ms from where it began`,
          value: Math.abs(departure),
          target: { max: DEPARTURE_MAX_MS, text: `±${DEPARTURE_MAX_MS} ms, one refresh of the screen` },
          notes: `p50 of each ${(readingMs / 1000).toFixed(0)} s: ${p50s.map((p50) => p50.toFixed(0)).join(", ")} ms; ${unreadable} frames unreadable.`,
        },
      ];
    });
  },
};
