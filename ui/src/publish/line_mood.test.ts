import { expect, it } from "vitest";
import { MoodWatch } from "./line_mood";

const GOOD = { isSlow: false, isAtFloor: false };
const SLOW = { isSlow: true, isAtFloor: false };

it("says nothing of a line that was always good", () => {
  const mood = new MoodWatch();
  expect([0, 60_000].map((at) => mood.now(GOOD, at))).toEqual(["good", "good"]);
});

it("tells slow from hopeless, and for ten seconds that it is over", () => {
  const mood = new MoodWatch();
  expect(mood.now(SLOW, 0)).toBe("slow");
  expect(mood.now({ isSlow: true, isAtFloor: true }, 1000)).toBe("floor");
  expect([2000, 11_999, 12_000].map((at) => mood.now(GOOD, at))).toEqual(["good_again", "good_again", "good"]);
  expect(mood.now(SLOW, 13_000)).toBe("slow");
});
