import { describe, expect, it } from "vitest";
import { bitrateFor, encodedSize, h264Codecs, h264Level } from "./codec";

describe("level", () => {
  it.each([
    [1280, 720, 30, 0x1f],
    [1280, 720, 60, 0x20],
    [1920, 1080, 30, 0x28],
    [1920, 1080, 60, 0x2a],
    [3840, 2160, 30, 0x33],
    [640, 360, 30, 0x1e],
  ])("of %d×%d at %d is the lowest that fits", (width, height, rate, idc) => {
    expect(h264Level(width, height, rate)).toBe(idc);
  });

  it("is none for a picture that no level holds", () => {
    expect(h264Level(8192, 8192, 30)).toBeUndefined();
    expect(h264Codecs(8192, 8192, 30)).toEqual([]);
  });
});

it("prefers constrained baseline, and writes codecs as RFC 6381 does", () => {
  expect(h264Codecs(1280, 720, 30)).toEqual(["avc1.42E01F", "avc1.4D401F", "avc1.64001F"]);
});

describe("size", () => {
  it("is the source's when that is small enough", () => {
    expect(encodedSize(800, 402, "balanced")).toEqual({ width: 800, height: 402 });
  });

  it("is even, and in proportion to the source", () => {
    expect(encodedSize(1919, 1081, "balanced")).toEqual({ width: 1278, height: 720 });
    expect(encodedSize(2560, 1600, "sharp")).toEqual({ width: 1728, height: 1080 });
  });

  it("bounds a tall window by the same frame on its side", () => {
    expect(encodedSize(1080, 1920, "balanced")).toEqual({ width: 720, height: 1280 });
  });

  it("is never nothing", () => {
    expect(encodedSize(1, 5000, "light")).toEqual({ width: 2, height: 960 });
  });
});

it("gives smaller pictures fewer bits, but more per pixel", () => {
  const full = bitrateFor(1280, 720, "balanced");
  const quarter = bitrateFor(640, 360, "balanced");
  expect(full).toBe(2_600_000);
  expect(quarter).toBeLessThan(full);
  expect(quarter).toBeGreaterThan(full / 4);
  expect(bitrateFor(16, 16, "light")).toBe(300_000);
});
