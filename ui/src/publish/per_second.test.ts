import { expect, it } from "vitest";
import { PerSecond } from "./per_second";

it("is what has come in over the last two seconds", () => {
  const rate = new PerSecond();
  for (let at = 0; at < 5000; at += 100) rate.add(10, at);
  expect(rate.perSecond(4999)).toBe(100);
  expect(rate.perSecond(60_000)).toBe(0);
});
