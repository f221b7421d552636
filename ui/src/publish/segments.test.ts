import { expect, it } from "vitest";
import { Segments } from "./segments";

const FULL = 1;
const SMALL = 3;
const FRAME_US = 33_000;

/** The place of a picture that was cut at its own time. */
function keyed(segments: Segments, timeUs: number, track = FULL) {
  segments.cut(timeUs);
  return segments.picture(track, timeUs, true);
}

it("opens a segment with each key frame and counts chunks from 0", () => {
  const segments = new Segments();
  const places = [true, false, false, true, false].map((key, frame) => {
    const timeUs = frame * FRAME_US;
    return key ? keyed(segments, timeUs) : segments.picture(FULL, timeUs, false);
  });
  expect(places).toEqual([
    { key: true, segment: 0, chunk: 0 },
    { key: false, segment: 0, chunk: 1 },
    { key: false, segment: 0, chunk: 2 },
    { key: true, segment: 1, chunk: 0 },
    { key: false, segment: 1, chunk: 1 },
  ]);
});

it("leaves out what comes before the first key frame", () => {
  const segments = new Segments();
  expect(segments.picture(FULL, 0, false)).toBeUndefined();
  expect(segments.sound()).toBeUndefined();
});

it("cuts sound where pictures are cut, and follows their number", () => {
  const segments = new Segments();
  keyed(segments, 0);
  expect([segments.sound(), segments.sound()]).toEqual([
    { key: true, segment: 0, chunk: 0 },
    { key: false, segment: 0, chunk: 1 },
  ]);
  keyed(segments, 10);
  keyed(segments, 20);
  expect(segments.sound()).toEqual({ key: true, segment: 2, chunk: 0 });
});

it("gives both pictures of a frame one number, whichever encoder is first", () => {
  const segments = new Segments();
  segments.cut(0);
  expect(segments.picture(SMALL, 0, true)).toEqual({ key: true, segment: 0, chunk: 0 });
  expect(segments.picture(FULL, 0, true)).toEqual({ key: true, segment: 0, chunk: 0 });
  segments.cut(FRAME_US);
  segments.picture(FULL, FRAME_US, true);
  // The slower one is still at the frame before.
  expect(segments.picture(SMALL, 1, false)).toEqual({ key: false, segment: 0, chunk: 1 });
  expect(segments.picture(SMALL, FRAME_US, true)).toEqual({ key: true, segment: 1, chunk: 0 });
});

it("opens nothing with a key frame that nobody asked for", () => {
  const segments = new Segments();
  keyed(segments, 0);
  expect(segments.picture(FULL, FRAME_US, true)).toEqual({ key: false, segment: 0, chunk: 1 });
});

it("opens the segment with the next key frame when the encoder left the frame out", () => {
  const segments = new Segments();
  keyed(segments, 0);
  segments.cut(FRAME_US);
  expect(segments.picture(FULL, 2 * FRAME_US, true)).toEqual({ key: true, segment: 1, chunk: 0 });
});

it("passes over the numbers that an encoder missed", () => {
  const segments = new Segments();
  keyed(segments, 0);
  for (let frame = 1; frame <= 40; frame += 1) segments.cut(frame * FRAME_US);
  expect(segments.picture(FULL, 40 * FRAME_US, true)).toEqual({ key: true, segment: 40, chunk: 0 });
});
