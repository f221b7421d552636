import { expect, it } from "vitest";
import { FramePace } from "./frame_pace";

/** How many of the frames that come every `everyMs` of ten seconds are taken. */
function taken(everyMs: number, frameRate: number, unevenMs = 0): number {
  const pace = new FramePace();
  let count = 0;
  for (let frame = 0; frame < Math.round(10_000 / everyMs); frame += 1) {
    if (pace.takes(frame * everyMs + (frame % 2) * unevenMs, frameRate)) count += 1;
  }
  return count;
}

it("takes every other frame for half the rate, also when they come unevenly", () => {
  expect(taken(1000 / 30, 15)).toBe(150);
  expect(taken(1000 / 30, 15, 12)).toBe(150);
});

it("takes all of a picture that has no more than that", () => {
  expect(taken(1000 / 15, 15)).toBe(150);
  expect(taken(1000 / 15, 15, 10)).toBe(150);
});

it("counts from a frame that was taken out of turn", () => {
  const pace = new FramePace();
  expect(pace.takes(0, 15)).toBe(true);
  pace.took(40);
  expect([pace.takes(66, 15), pace.takes(100, 15)]).toEqual([false, true]);
});
