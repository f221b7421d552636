import { expect, it } from "vitest";
import { bitrateInWords, delayInWords, viewersInWords } from "./amounts";

it("counts viewers", () => {
  expect([0, 1, 1200].map(viewersInWords)).toEqual(["0 viewers", "1 viewer", "1,200 viewers"]);
});

it("says bit rates and delays with a unit that fits", () => {
  expect([0, 850.4, 2600].map(bitrateInWords)).toEqual(["0 kbit/s", "850 kbit/s", "2.6 Mbit/s"]);
  expect([120.4, 1400].map(delayInWords)).toEqual(["120 ms", "1.4 s"]);
});
