// What the box reader holds to, whatever it is given. It reads the bytes of strangers: relays and broadcasters.

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { chunk, initSegment, SOUND_TIMESCALE, VIDEO_TIMESCALE } from "../publish/fmp4";
import { anyBytes, clipped, damaged, tangled, wellFormed } from "./fixtures/any_boxes";
import { type InitFacts, readChunkTimes, readInit, readSamples, renumber, withLastDuration } from "./fmp4";

// `scripts/fuzz` gives seconds for each property; without them it is so many inputs, which take a slow machine some seconds.
const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
const RUNS = seconds > 0 ? { numRuns: 2 ** 31, interruptAfterTimeLimit: seconds * 1000 } : { numRuns: 3000 };
vi.setConfig({ testTimeout: (60 + 2 * seconds) * 1000 });

const word = fc.nat(2 ** 32 - 1);
const facts: fc.Arbitrary<InitFacts> = fc.record({
  trackId: word,
  timescale: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  defaultDuration: word,
});
const inputs = {
  "any bytes": anyBytes,
  "damaged media": damaged,
  "tangled boxes": tangled,
  "boxes that are too short": clipped,
};

/** All that the reader does with them, each on a copy that lies where `place` puts it. */
function readAll(bytes: Uint8Array, init: InitFacts, value: number, place = (copy: Uint8Array) => copy) {
  const own = () => place(bytes.slice());
  const renumbered = own();
  renumber(renumbered, value);
  return {
    init: readInit(own()),
    times: readChunkTimes(own(), init),
    samples: readSamples(own(), init)?.map(({ time, data }) => ({ time, data: [...data] })),
    changed: Array.from(withLastDuration(own(), value)),
    renumbered: Array.from(renumbered),
  };
}

describe.each(Object.entries(inputs))("%s", (_, bytes) => {
  it("are read without an exception, and nothing grows by more than a duration", () => {
    fc.assert(
      fc.property(bytes, facts, word, (bytes, init, value) => {
        const read = readAll(bytes, init, value);
        expect([bytes.length, bytes.length + 4]).toContain(read.changed.length);
        expect(read.renumbered.length).toBe(bytes.length);
        if (read.init) expect(read.init.timescale).toBeGreaterThan(0);
        for (const time of Object.values(read.times ?? {})) expect(Number.isFinite(time)).toBe(true);
      }),
      RUNS,
    );
  });

  it("are neither read nor written beyond their ends", () => {
    fc.assert(
      fc.property(bytes, facts, word, fc.nat(32), (bytes, init, value, before) => {
        const within = (filler: number) => {
          const around: Uint8Array[] = [];
          const read = readAll(bytes, init, value, (copy) => {
            const whole = new Uint8Array(before + copy.length + 64).fill(filler);
            whole.set(copy, before);
            around.push(whole);
            return whole.subarray(before, before + copy.length);
          });
          for (const whole of around) {
            whole.fill(filler, before, before + bytes.length);
            expect(whole.every((byte) => byte === filler)).toBe(true);
          }
          return read;
        };
        expect(within(0)).toEqual(within(255));
      }),
      RUNS,
    );
  });

  it("cost no more looks than they have bytes, times a few", () => {
    const looks = (["getUint8", "getInt32", "getUint32"] as const).map((name) => vi.spyOn(DataView.prototype, name));
    try {
      fc.assert(
        fc.property(bytes, facts, word, (bytes, init, value) => {
          for (const look of looks) look.mockClear();
          readAll(bytes, init, value);
          const count = looks.reduce((sum, look) => sum + look.mock.calls.length, 0);
          expect(count).toBeLessThan(200 + 40 * bytes.length);
        }),
        { numRuns: 500 },
      );
    } finally {
      for (const look of looks) look.mockRestore();
    }
  });
});

it("declares another duration in whichever way a chunk is written, and leaves its times as they are", () => {
  let [changes, chunks] = [0, 0];
  fc.assert(
    fc.property(wellFormed, facts, fc.nat(2 ** 31), ({ bytes, decodeTime }, init, units) => {
      const before = readChunkTimes(bytes, init);
      expect(before?.decodeTime).toBe(decodeTime);
      const original = bytes.slice();
      chunks += 1;
      const changed = withLastDuration(bytes, units);
      const after = readChunkTimes(changed, init);
      if (changed === bytes && Buffer.compare(original, changed) === 0) {
        // Samples that share a default keep it; else it was so already.
        expect(after).toEqual(before);
      } else {
        changes += 1;
        expect(after).toEqual({ ...before, endTime: (before?.lastTime ?? 0) + units });
      }
      expect(Buffer.from(changed).subarray(-11)).toEqual(Buffer.from(original).subarray(-11));
    }),
    RUNS,
  );
  expect(changes).toBeGreaterThan(chunks / 2);
});

it("gives another ID to whatever has one, and nothing else changes", () => {
  fc.assert(
    fc.property(wellFormed, facts, word, ({ bytes }, init, trackId) => {
      const before = readChunkTimes(bytes, init);
      const copy = bytes.slice();
      renumber(copy, trackId);
      expect(readChunkTimes(copy, init)).toEqual({ ...before, trackId });
      renumber(copy, 1);
      expect(Buffer.compare(copy, bytes)).toBe(0);
    }),
    RUNS,
  );
});

describe("what pages write", () => {
  const sample = fc.record({
    track: fc.integer({ min: 1, max: 255 }),
    sequence: word,
    decodeTime: fc.nat(Number.MAX_SAFE_INTEGER),
    duration: fc.nat(2 ** 31),
    key: fc.boolean(),
    data: fc.uint8Array({ maxLength: 200 }),
  });

  it("is read as it was written", () => {
    fc.assert(
      fc.property(sample, facts, (sample, init) => {
        const { track: trackId, decodeTime, duration } = sample;
        const times = readChunkTimes(chunk(sample), init);
        const endTime = decodeTime + duration;
        expect(times).toEqual({
          trackId,
          decodeTime,
          firstTime: decodeTime,
          lastTime: decodeTime,
          endTime,
          samples: 1,
        });
      }),
      RUNS,
    );
  });

  it("names its track and its timescale", () => {
    const side = fc.integer({ min: 1, max: 8192 });
    const track = fc.integer({ min: 1, max: 255 });
    fc.assert(
      fc.property(
        track,
        side,
        side,
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(65_535),
        (track, width, height, avcConfig, preSkip) => {
          const video = readInit(initSegment({ kind: "video", track, width, height, avcConfig }));
          expect(video).toEqual({ trackId: track, timescale: VIDEO_TIMESCALE, defaultDuration: 0 });
          const sound = readInit(initSegment({ kind: "sound", track, channels: 2, preSkip }));
          expect(sound).toEqual({ trackId: track, timescale: SOUND_TIMESCALE, defaultDuration: 0 });
        },
      ),
      RUNS,
    );
  });
});
