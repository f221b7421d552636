import { describe, expect, it } from "vitest";
import { indexOfType, PICTURE, SOUND, seeded } from "./fixtures/boxes";
import { type InitFacts, readChunkTimes, readInit, readSamples, renumber, withLastDuration } from "./fmp4";
import { opusSilence } from "./silence";

const factsOf = (init: Uint8Array) => {
  const facts = readInit(init);
  if (!facts) throw new Error("no init segment");
  return facts;
};
const picture = factsOf(PICTURE.init);
const sound = factsOf(SOUND.init);
const first = () => (PICTURE.chunks[0] as Uint8Array).slice();
const u32 = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);

/** The chunk with its default duration taken out of `tfhd`, as some writers leave it to `trex`. */
function withoutDuration(chunk: Uint8Array): Uint8Array {
  const tfhd = indexOfType(chunk, "tfhd");
  const copy = new Uint8Array(chunk.length - 4);
  const at = tfhd + 12;
  copy.set(chunk.subarray(0, at));
  copy.set(chunk.subarray(at + 4), at);
  const view = new DataView(copy.buffer);
  view.setUint32(tfhd + 4, view.getUint32(tfhd + 4) & ~0x08);
  for (const type of ["moof", "traf", "tfhd"]) {
    const size = indexOfType(copy, type) - 4;
    view.setUint32(size, view.getUint32(size) - 4);
  }
  const dataOffset = indexOfType(copy, "trun") + 12;
  view.setInt32(dataOffset, view.getInt32(dataOffset) - 4);
  return copy;
}

describe("media made by ffmpeg", () => {
  it("tells the track and its timescale", () => {
    expect(picture).toMatchObject({ trackId: 1, timescale: 15360 });
    expect(sound).toMatchObject({ trackId: 1, timescale: 48000 });
  });

  it("places each picture a thirtieth of a second after the last", () => {
    const times = PICTURE.chunks.map((chunk) => readChunkTimes(chunk, picture));
    expect(times.map((time) => time?.firstTime)).toEqual([0, 512, 1024]);
    expect(times[0]).toMatchObject({ lastTime: 0, endTime: 512, samples: 1 });
  });

  it("places sound packets one after the other", () => {
    const times = SOUND.chunks.map((chunk) => readChunkTimes(chunk, sound));
    for (const [i, time] of times.entries()) {
      if (i > 0) expect(time?.decodeTime).toBe(times[i - 1]?.endTime);
    }
    expect(times.length).toBeGreaterThan(3);
  });

  it("gives the bytes of a chunk's one sample, from behind the header of its mdat to the end", () => {
    for (const chunk of SOUND.chunks) {
      const samples = readSamples(chunk, sound);
      expect(samples?.length).toBe(1);
      expect(samples?.[0]?.time).toBe(readChunkTimes(chunk, sound)?.decodeTime);
      expect(samples?.[0]?.data).toEqual(chunk.subarray(indexOfType(chunk, "mdat") + 4));
    }
  });

  it("gives no bytes of samples that share a size", () => {
    expect(readSamples(opusSilence(1, 48_000, 0, 0.1).bytes, sound)).toBeNull();
  });

  it("declares another duration in place and leaves all else as it is", () => {
    const chunk = first();
    const changed = withLastDuration(chunk, 15360);
    expect(changed).toBe(chunk);
    expect(readChunkTimes(changed, picture)?.endTime).toBe(15360);
    const original = first();
    expect([...changed].filter((byte, i) => byte !== original[i]).length).toBeLessThanOrEqual(4);
  });

  it("grows a chunk that has no room for a duration, with sizes and offsets that fit", () => {
    const chunk = withoutDuration(first());
    expect(readChunkTimes(chunk, picture)?.endTime).toBe(picture.defaultDuration);
    const changed = withLastDuration(chunk, 15360);
    expect(changed.length).toBe(chunk.length + 4);
    expect(readChunkTimes(changed, picture)).toMatchObject({ firstTime: 0, endTime: 15360 });
    const moof = u32(changed, 0);
    expect(String.fromCharCode(...changed.subarray(moof + 4, moof + 8))).toBe("mdat");
    expect(u32(changed, indexOfType(changed, "trun") + 12)).toBe(moof + 8);
    expect(changed.subarray(moof)).toEqual(first().subarray(u32(first(), 0)));
  });
});

it("grows boxes whose sizes have 64 bits, and those that go to the end", () => {
  for (const large of [true, false]) {
    const chunk = withoutDuration(first());
    const extra = large ? 8 : 0;
    const moof = u32(chunk, 0);
    const copy = new Uint8Array(large ? chunk.length + extra : moof);
    copy.set(chunk.subarray(0, 8));
    copy.set(chunk.subarray(8, large ? chunk.length : moof), 8 + extra);
    const view = new DataView(copy.buffer);
    view.setUint32(0, large ? 1 : 0);
    if (large) view.setBigUint64(8, BigInt(moof + extra));
    const changed = withLastDuration(copy, 15360);
    expect(changed.length).toBe(copy.length + 4);
    expect(readChunkTimes(changed, picture)).toMatchObject({ firstTime: 0, endTime: 15360 });
    // The data offset of its one sample goes with it; no sample is touched.
    if (large) expect(changed.subarray(-100)).toEqual(copy.subarray(-100));
  }
});

it("gives a track another ID, in its init segment and its chunks, and leaves all else as it is", () => {
  for (const bytes of [PICTURE.init.slice(), first()]) {
    const before = bytes.slice();
    renumber(bytes, 77);
    const changed = [...bytes.keys()].filter((at) => bytes[at] !== before[at]);
    expect(changed.every((at) => before[at] === 1 && bytes[at] === 77)).toBe(true);
    expect(changed.length).toBe(bytes.length === PICTURE.init.length ? 2 : 1);
    renumber(bytes, 1);
    expect(bytes).toEqual(before);
  }
  const init = PICTURE.init.slice();
  renumber(init, 77);
  expect(readInit(init)).toEqual({ ...picture, trackId: 77 });
});

describe("bytes that are not what they should be", () => {
  const any: InitFacts = { trackId: 1, timescale: 1000, defaultDuration: 1 };
  const tryAll = (bytes: Uint8Array) => {
    readInit(bytes);
    readChunkTimes(bytes, any);
    readSamples(bytes, any);
    withLastDuration(bytes, 1000);
    renumber(bytes, 77);
  };

  it("never throws on random bytes", () => {
    const random = seeded(7);
    for (let round = 0; round < 2000; round++) {
      const bytes = new Uint8Array(Math.floor(random() * 200)).map(() => Math.floor(random() * 256));
      expect(() => tryAll(bytes)).not.toThrow();
    }
  });

  it("never throws on real media with some bytes changed or cut off", () => {
    const random = seeded(11);
    for (let round = 0; round < 4000; round++) {
      const source = round % 2 ? first() : PICTURE.init.slice();
      const bytes = source.slice(0, random() < 0.3 ? Math.floor(random() * source.length) : source.length);
      for (let i = 0; i < 3; i++) {
        if (bytes.length > 0) bytes[Math.floor(random() * Math.min(bytes.length, 260))] = Math.floor(random() * 256);
      }
      expect(() => tryAll(bytes)).not.toThrow();
    }
  });

  it("leaves a chunk alone whose header says more than it holds", () => {
    const chunk = withoutDuration(first());
    // `tfhd` as the last box, with flags of fields that are not there.
    const [traf, tfhd] = [indexOfType(chunk, "traf") - 4, indexOfType(chunk, "tfhd") - 4];
    const end = tfhd + u32(chunk, tfhd);
    const trafEnd = traf + u32(chunk, traf);
    const moved = new Uint8Array(trafEnd);
    moved.set(chunk.subarray(0, tfhd));
    moved.set(chunk.subarray(end, trafEnd), tfhd);
    moved.set(chunk.subarray(tfhd, end), tfhd + trafEnd - end);
    const view = new DataView(moved.buffer);
    const at = indexOfType(moved, "tfhd") + 4;
    expect(readChunkTimes(moved, picture)).not.toBeNull();
    view.setUint32(at, view.getUint32(at) | 0x03);
    expect(readChunkTimes(moved, picture)).toBeNull();
    expect(withLastDuration(moved, 5)).toBe(moved);
  });

  it("gives back what it can't read", () => {
    const nonsense = new Uint8Array([1, 2, 3]);
    expect(withLastDuration(nonsense, 5)).toBe(nonsense);
    expect(readChunkTimes(PICTURE.init, picture)).toBeNull();
    expect(readInit(first())).toBeNull();
  });
});
