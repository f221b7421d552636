import { expect, it } from "vitest";
import { isIos } from "./page";

const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile Safari/604.1";
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15";
const ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/156.0.0.0 Mobile Safari/537.36";

it.each([
  ["an iPhone", IPHONE, 5, true],
  ["an iPad that says that it is a Mac", MAC, 5, true],
  ["a Mac", MAC, 0, false],
  ["Android", ANDROID, 5, false],
])("tells iOS from the rest: %s", (_name, userAgent, maxTouchPoints, expected) => {
  expect(isIos({ userAgent, maxTouchPoints })).toBe(expected);
});
