import { expect, it } from "vitest";
import { indexOfType } from "./fixtures/boxes";
import { readChunkTimes } from "./fmp4";
import { opusSilence } from "./silence";

const facts = { trackId: 2, timescale: 48000, defaultDuration: 0 };

it("covers the time it is asked to, and says where it ends", () => {
  const silence = opusSilence(2, 48000, 10, 10.25);
  const times = readChunkTimes(silence.bytes, facts);
  expect(times).toMatchObject({ trackId: 2, decodeTime: 480_000, samples: 13, endTime: 480_000 + 13 * 960 });
  expect(silence.end).toBeCloseTo(10.26);
});

it("points at packets that are there", () => {
  const { bytes } = opusSilence(1, 48000, 0, 0.04);
  const view = new DataView(bytes.buffer);
  const data = view.getInt32(indexOfType(bytes, "trun") + 12);
  expect([...bytes.subarray(data)]).toEqual([0xfc, 0xff, 0xfe, 0xfc, 0xff, 0xfe]);
  expect(view.getUint32(0)).toBe(data - 8);
});

it("stays small however long the sound is gone", () => {
  expect(readChunkTimes(opusSilence(1, 48000, 0, 1e6).bytes, facts)?.samples).toBe(500);
});
