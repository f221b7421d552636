import { expect, it } from "vitest";
import { BitBudget } from "./bit_budget";

const BITRATE = 800_000;

/** Ten seconds of thirty frames each, with pictures of this size: frames that were let through, and their bits per second. */
function run(bytes: number, keyBytes = bytes): { frames: number; bitrate: number } {
  const budget = new BitBudget();
  let frames = 0;
  let sum = 0;
  for (let frame = 0; frame < 300; frame += 1) {
    const nowMs = frame * (1000 / 30);
    const key = frame % 60 === 0;
    if (!key && !budget.allows(BITRATE, nowMs)) continue;
    const size = key ? keyBytes : bytes;
    budget.spent(size, BITRATE, nowMs);
    frames += 1;
    sum += size;
  }
  return { frames, bitrate: (sum * 8) / 10 };
}

it("lets everything through that keeps to its bits", () => {
  expect(run(3300).frames).toBe(300);
  // Also behind key frames of twice a delta's size or so.
  expect(run(3000, 12_000).frames).toBe(300);
});

it("brings a picture that takes three times as much down to what it may take, in fewer frames", () => {
  const { frames, bitrate } = run(10_000);
  expect(bitrate).toBeLessThan(BITRATE * 1.05);
  expect(bitrate).toBeGreaterThan(BITRATE * 0.9);
  expect(frames).toBeGreaterThan(90);
});

it("goes on within a second of a very large key frame", () => {
  const budget = new BitBudget();
  budget.spent(2_000_000, BITRATE, 0);
  expect([budget.allows(BITRATE, 500), budget.allows(BITRATE, 760)]).toEqual([false, true]);
});
