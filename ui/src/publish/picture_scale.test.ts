import { expect, it } from "vitest";
import { PictureScale, scaledSize } from "./picture_scale";

const BITRATE = 300_000;

/** So many seconds of fifteen frames each, of which every `sentOf`th is sent, with this share of the bits. */
function pass(
  scale: PictureScale,
  fromS: number,
  seconds: number,
  { sentOf = 1, share = 1, bitrate = BITRATE, slow = true } = {},
): number {
  for (let frame = 0; frame < seconds * 15; frame += 1) {
    const leftOut = frame % sentOf !== 0;
    scale.frame(leftOut);
    if (!leftOut) scale.spent((bitrate * share * sentOf) / 15 / 8);
    scale.look(bitrate, slow, (fromS + frame / 15) * 1000);
  }
  return fromS + seconds;
}

it("stays as it is on a good line, whatever moves", () => {
  const scale = new PictureScale();
  pass(scale, 0, 20, { sentOf: 3, slow: false });
  expect(scale.scale).toBe(1);
});

it("stays sharp on a slow line while nearly all frames get through", () => {
  const scale = new PictureScale();
  pass(scale, 0, 20);
  expect(scale.scale).toBe(1);
});

it("gets smaller step by step while most frames are left out, and no smaller than about a third", () => {
  const scale = new PictureScale();
  let now = pass(scale, 0, 3.2, { sentOf: 3 });
  expect(scale.scale).toBe(0.75);
  now = pass(scale, now, 3.2, { sentOf: 3 });
  expect(scale.scale).toBe(0.5);
  pass(scale, now, 20, { sentOf: 3 });
  expect(scale.scale).toBe(0.35);
});

it("gets larger with many more bits, not with a few", () => {
  const scale = new PictureScale();
  let now = pass(scale, 0, 3.2, { sentOf: 3 });
  now = pass(scale, now, 10, { bitrate: 1.5 * BITRATE });
  expect(scale.scale).toBe(0.75);
  pass(scale, now, 3.5, { bitrate: 2 * BITRATE });
  expect(scale.scale).toBe(1);
});

it("gets sharp again when what it shows stands still", () => {
  const scale = new PictureScale();
  const now = pass(scale, 0, 3.2, { sentOf: 3 });
  pass(scale, now, 13, { share: 0.1 });
  expect(scale.scale).toBe(1);
});

it("is as large as ever when the line is good again", () => {
  const scale = new PictureScale();
  const now = pass(scale, 0, 7, { sentOf: 3 });
  pass(scale, now, 0.2, { slow: false });
  expect(scale.scale).toBe(1);
});

it("has even sides", () => {
  expect(scaledSize({ width: 1278, height: 720 }, 0.75)).toEqual({ width: 958, height: 540 });
  expect(scaledSize({ width: 1280, height: 720 }, 1)).toEqual({ width: 1280, height: 720 });
});
