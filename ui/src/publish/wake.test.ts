import { describe, expect, it } from "vitest";
import { WakeWatch } from "./wake";

const NOON = 1_800_000_000_000;
const HOUR = 3_600_000;

describe("waking up", () => {
  it("is none while ticks come, also when the page is busy", () => {
    const watch = new WakeWatch(0, NOON);
    expect([100, 1200, 3900].map((at) => watch.tick(at, NOON + at))).toEqual([0, 0, 0]);
  });

  it("is noticed where the steady clock stands still during sleep", () => {
    expect(new WakeWatch(0, NOON).tick(100, NOON + HOUR)).toBe(HOUR);
  });

  it("is noticed where it goes on, once", () => {
    const watch = new WakeWatch(0, NOON);
    expect(watch.tick(HOUR, NOON + HOUR)).toBe(HOUR);
    expect(watch.tick(HOUR + 100, NOON + HOUR + 100)).toBe(0);
  });

  it("is none when the calendar is set back, or by years", () => {
    const watch = new WakeWatch(0, NOON);
    expect(watch.tick(100, NOON - HOUR)).toBe(0);
    expect(watch.tick(200, NOON + 10_000 * HOUR)).toBe(0);
  });
});
