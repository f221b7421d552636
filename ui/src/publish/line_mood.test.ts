import { expect, it } from "vitest";
import { MoodWatch } from "./line_mood";

const GOOD = { isSlow: false, isAtFloor: false };
const SLOW = { isSlow: true, isAtFloor: false };
const FLOOR = { isSlow: true, isAtFloor: true };

it("says nothing of a line that was always good", () => {
  const mood = new MoodWatch();
  expect([0, 60_000].map((at) => mood.now(GOOD, false, at))).toEqual(["good", "good"]);
});

it("tells for ten seconds that it is good again", () => {
  const mood = new MoodWatch();
  expect(mood.now(SLOW, true, 0)).toBe("slow");
  expect([2000, 11_999, 12_000].map((at) => mood.now(GOOD, false, at))).toEqual(["good_again", "good_again", "good"]);
  expect(mood.now(SLOW, false, 13_000)).toBe("slow");
});

it("tells a line that is too slow for the least, without wavering while it comes and goes", () => {
  const mood = new MoodWatch();
  expect(mood.now(FLOOR, false, 0)).toBe("slow");
  expect([true, false, true, false].map((behind, at) => mood.now(FLOOR, behind, 1000 * at))).toEqual(
    Array(4).fill("too_slow"),
  );
  expect(mood.now(FLOOR, false, 12_000)).toBe("slow");
});
