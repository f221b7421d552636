// Readings of a viewer's page, and their words.
import type { Page } from "@playwright/test";
import { SCREEN } from "../src/chromium.ts";
import { plays } from "../src/fixtures.ts";
import { percentile, type Reading, readClock } from "../src/wall_clock.ts";
import type { Finding } from "./figure.ts";
import { sleep, WARM_UP_MS } from "./stage.ts";

/** A gap between two frames longer than this is seen as a freeze. */
const FREEZE_MS = 100;

/** A reading that misses more frames than this for each that it reads is none. */
const MISSED_PER_READ_MAX = 10;

/** Reads the clock in every frame that the page's player shows for so long. */
export async function readFor(page: Page, durationMs: number): Promise<Reading> {
  return await page.evaluate(readClock, { durationMs, screenWidth: SCREEN.width });
}

/** Opens a stream, lets everything settle, and reads the clock. */
export async function watchAndRead(page: Page, link: string, durationMs: number): Promise<Reading> {
  await page.goto(link);
  await plays(page);
  await sleep(WARM_UP_MS);
  return await readFor(page, durationMs);
}

/** What the page's player says of its sound. */
export async function statsOf(page: Page): Promise<{ soundBehindMs: number | null; soundGaps: number | null }> {
  return await page.evaluate(() => {
    const player = document.querySelector("live-player") as unknown as {
      stats: { soundBehindMs: number | null; soundGaps: number | null };
    };
    const { soundBehindMs, soundGaps } = player.stats;
    return { soundBehindMs, soundGaps };
  });
}

/** The finding of a glass-to-glass reading. */
export function glassToGlass(o: {
  id: string;
  what: string;
  p50Max?: number;
  reading: Reading;
  notes?: string;
}): Finding {
  const { reading } = o;
  const frames = reading.latenciesMs.length;
  if (frames === 0) throw new Error(`${o.what}: the clock could be read in none of ${reading.unreadable} frames`);
  if (frames < 2 || reading.missed > frames * MISSED_PER_READ_MAX) {
    throw new Error(
      `${o.what}: ${frames} frames were read and ${reading.missed} missed; that is too few to say anything`,
    );
  }
  const at = (share: number) => percentile(reading.latenciesMs, share);
  const freezes = reading.gapsMs.filter((gap) => gap > FREEZE_MS).length;
  const seconds = reading.gapsMs.reduce((sum, gap) => sum + gap, 0) / 1000;
  const notes = [
    `p5 ${ms(at(0.05))}, p99 ${ms(at(0.99))}, max ${ms(Math.max(...reading.latenciesMs))}`,
    `${frames} frames (${(reading.gapsMs.length / seconds).toFixed(1)} a second), ${reading.unreadable} unreadable, ${reading.missed} missed`,
    `${freezes} gaps over ${FREEZE_MS} ms`,
    `${reading.width}x${reading.height}${reading.width === SCREEN.width ? "" : ", scaled"}`,
    ...(o.notes ? [o.notes] : []),
  ];
  return {
    id: o.id,
    what: o.what,
    result: `p50 ${ms(at(0.5))}, p95 ${ms(at(0.95))}`,
    value: at(0.5),
    ...(o.p50Max === undefined ? {} : { target: { max: o.p50Max, text: `p50 ≤ ${o.p50Max} ms` } }),
    notes: `${notes.join("; ")}.`,
  };
}

export const ms = (value: number) => `${value.toFixed(0)} ms`;

export const percentOfCore = (share: number) => `${(share * 100).toFixed(1)} %`;
