import { expect, it } from "vitest";
import { Segments } from "./segments";

it("opens a segment with each key frame and counts chunks from 0", () => {
  const segments = new Segments();
  expect([true, false, false, true, false].map((key) => segments.video(key))).toEqual([
    { key: true, segment: 0, chunk: 0 },
    { key: false, segment: 0, chunk: 1 },
    { key: false, segment: 0, chunk: 2 },
    { key: true, segment: 1, chunk: 0 },
    { key: false, segment: 1, chunk: 1 },
  ]);
});

it("leaves out what comes before the first key frame", () => {
  const segments = new Segments();
  expect(segments.video(false)).toBeUndefined();
  expect(segments.sound()).toBeUndefined();
});

it("cuts sound where pictures are cut, and follows their number", () => {
  const segments = new Segments();
  segments.video(true);
  expect([segments.sound(), segments.sound()]).toEqual([
    { key: true, segment: 0, chunk: 0 },
    { key: false, segment: 0, chunk: 1 },
  ]);
  segments.video(true);
  segments.video(true);
  expect(segments.sound()).toEqual({ key: true, segment: 2, chunk: 0 });
});
