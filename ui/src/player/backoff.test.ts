import { expect, it } from "vitest";
import { PAUSE_MS_MAX, pauseBefore } from "./backoff";

it("tries at once after a healthy session, spread over a tenth of a second", () => {
  expect(pauseBefore(0, 0)).toBe(0);
  expect(pauseBefore(0, 0.99)).toBeLessThan(100);
});

it("grows, never past the longest pause, however often it failed", () => {
  for (let failures = 1; failures < 2000; failures++) {
    expect(pauseBefore(failures + 1, 0.5)).toBeGreaterThanOrEqual(pauseBefore(failures, 0.5));
    expect(pauseBefore(failures, 0.999)).toBeLessThanOrEqual(PAUSE_MS_MAX);
  }
  expect(pauseBefore(2000, 0)).toBe(PAUSE_MS_MAX / 2);
});
