import { expect, it } from "vitest";
import { clockTime, lengthInWords } from "./time";

const MINUTE = 60_000;

it.each([
  [-5, "0:00"],
  [7_900, "0:07"],
  [12.5 * MINUTE, "12:30"],
  [62 * MINUTE + 3_000, "1:02:03"],
  [27 * 60 * MINUTE, "27:00:00"],
])("%d ms is %s on a clock", (ms, words) => {
  expect(clockTime(ms)).toBe(words);
});

it.each([
  [-1000, "just started"],
  [59_000, "just started"],
  [MINUTE, "1 min"],
  [60 * MINUTE, "1 h"],
  [130 * MINUTE, "2 h 10 min"],
  [3 * 24 * 60 * MINUTE, "3 days"],
])("%d ms is %s in words", (ms, words) => {
  expect(lengthInWords(ms)).toBe(words);
});
