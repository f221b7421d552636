import { expect, it } from "vitest";
import { smallPictureOf } from "./small_picture";

const full = { width: 1280, height: 720, frameRate: 30, bitrate: 2_600_000 };

it("is a quarter of the pixels, half the frames and a fifth of the bits of a balanced picture", () => {
  expect(smallPictureOf(full)).toEqual({ width: 640, height: 360, frameRate: 15, bitrate: 468_000 });
});

it("has the shape of the full picture, also of a tall one, and even sides", () => {
  expect(smallPictureOf({ ...full, width: 1278, height: 800 })).toMatchObject({ width: 576, height: 360 });
  expect(smallPictureOf({ ...full, width: 720, height: 1280 })).toMatchObject({ width: 360, height: 640 });
});

it("is never larger or faster than the full picture", () => {
  const light = { width: 480, height: 270, frameRate: 15, bitrate: 500_000 };
  expect(smallPictureOf(light)).toEqual({ width: 480, height: 270, frameRate: 15, bitrate: 150_000 });
});

it("costs no more than it can use", () => {
  expect(smallPictureOf({ ...full, width: 1920, height: 1080, bitrate: 5_000_000 }).bitrate).toBe(600_000);
});
