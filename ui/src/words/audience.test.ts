import { expect, it } from "vitest";
import { shortViewer, sinceInWords, visibilityInWords } from "./audience";

it("names viewers by the beginning of their number", () => {
  expect(shortViewer("3f2aabcdef012345")).toBe("3f2a");
});

it("says since when they watch, whatever the clocks say", () => {
  expect([-5000, 0, 59_999, 240_000, 7_200_000].map(sinceInWords)).toEqual([
    "just now",
    "just now",
    "just now",
    "4 min",
    "2 h",
  ]);
});

it("says who can find a stream", () => {
  expect((["public", "unlisted", "password"] as const).map(visibilityInWords)).toEqual([
    "In the live list",
    "Only with the link",
    "Only with the password",
  ]);
});
