import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CodecStandIn, FrameStandIn, stubCodecs } from "./fixtures/codecs";
import { Picture } from "./picture";

const FRAME_MS = 1000 / 30;
const SIZE = { displayWidth: 1280, displayHeight: 720 };

/** A captured track whose frames the test delivers. */
class TrackStandIn {
  deliver: (frame: FrameStandIn) => void = () => {};
  end: () => void = () => {};
}

let cuts: number[];
let gone: number;
let over: AbortController;

function picture(track: TrackStandIn, withSmall = false): Picture {
  return new Picture({
    track: track as unknown as MediaStreamVideoTrack,
    quality: "balanced",
    withSmall,
    originMs: performance.now(),
    signal: over.signal,
    onCut: (timeUs) => cuts.push(timeUs),
    onParameters: () => {},
    onPicture: () => {},
    onSourceGone: () => {
      gone += 1;
    },
    onError: (sentence) => {
      throw new Error(sentence);
    },
  });
}

/** So many frames, one after the other; what the encoders gave for each is `bytes` large. */
async function show(track: TrackStandIn, frames: number, { size = SIZE, bytes = 100 } = {}): Promise<void> {
  for (let shown = 0; shown < frames; shown += 1) {
    track.deliver(new FrameStandIn(size));
    await vi.advanceTimersByTimeAsync(FRAME_MS);
    for (const codec of CodecStandIn.made) codec.give({ bytes });
  }
}

const codecs = () => CodecStandIn.made as [CodecStandIn, CodecStandIn];
const keys = (codec: CodecStandIn) =>
  codec.encoded.filter(({ keyFrame }) => keyFrame).map(({ timestamp }) => timestamp);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  stubCodecs();
  vi.stubGlobal(
    "MediaStreamTrackProcessor",
    class {
      readable: ReadableStream<FrameStandIn>;
      constructor({ track }: { track: TrackStandIn }) {
        this.readable = new ReadableStream({
          start: (controller) => {
            track.deliver = (frame) => controller.enqueue(frame);
            track.end = () => controller.close();
          },
        });
      }
    },
  );
  vi.stubGlobal(
    "OffscreenCanvas",
    class {
      constructor(
        readonly displayWidth: number,
        readonly displayHeight: number,
      ) {}
      getContext = () => ({ fillRect: () => {}, fillText: () => {} });
    },
  );
  cuts = [];
  gone = 0;
  over = new AbortController();
});
afterEach(() => {
  over.abort();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a captured picture", () => {
  it("has a key frame every two seconds and when one is wanted", async () => {
    const track = new TrackStandIn();
    const made = picture(track);
    await show(track, 130);
    const [codec] = codecs();
    expect(keys(codec).length).toBe(3);
    made.wantKeyFrame();
    await show(track, 2);
    expect(keys(codec).length).toBe(4);
    expect(keys(codec)).toEqual(cuts);
  });

  it("is cut at the same frames in both sizes, the small one with half of them", async () => {
    const track = new TrackStandIn();
    const made = picture(track, true);
    await show(track, 200);
    const [full, small] = codecs();
    expect([made.config?.width, made.smallConfig?.width]).toEqual([1280, 640]);
    expect(keys(full)).toEqual(keys(small));
    expect(full.encoded.length).toBeGreaterThan(190);
    expect(Math.abs(small.encoded.length - full.encoded.length / 2)).toBeLessThan(6);
  });

  it("gets fewer bits at once and more with the next key frame", async () => {
    const track = new TrackStandIn();
    const made = picture(track);
    await show(track, 10);
    const [codec] = codecs();
    made.adapt(1_000_000, false);
    expect(codec.configs.at(-1)?.bitrate).toBe(1_000_000);
    made.adapt(2_000_000, false);
    await show(track, 10);
    expect(codec.configs.at(-1)?.bitrate).toBe(1_000_000);
    await show(track, 60);
    expect(codec.configs.at(-1)?.bitrate).toBe(2_000_000);
    // None of it took a key frame of its own.
    expect(keys(codec).length).toBe(2);
  });

  it("sends every other frame where only half are wanted", async () => {
    const track = new TrackStandIn();
    const made = picture(track);
    await show(track, 5);
    made.adapt(300_000, true);
    const [codec] = codecs();
    const before = codec.encoded.length;
    await show(track, 60);
    expect(codec.configs.at(-1)?.framerate).toBe(15);
    expect(Math.abs(codec.encoded.length - before - 30)).toBeLessThan(4);
  });

  it("leaves frames out on a slow line when the encoder takes more than it may", async () => {
    const track = new TrackStandIn();
    const made = picture(track);
    await show(track, 5);
    made.adapt(1_000_000, false);
    const [codec] = codecs();
    const before = codec.encoded.length;
    // Three times a megabit.
    await show(track, 90, { bytes: 12_500 });
    expect(codec.encoded.length - before).toBeLessThan(45);
    expect(made.dropped).toBeGreaterThan(40);
  });

  it("gets smaller on a slow line when most frames would be left out, and large again when it is good", async () => {
    const track = new TrackStandIn();
    const made = picture(track, true);
    await show(track, 5);
    const [full, small] = codecs();
    for (let thirds = 0; thirds < 12; thirds += 1) {
      made.adapt(1_000_000, false);
      await show(track, 10, { bytes: 20_000 });
    }
    expect([made.config?.width, made.chosen?.width]).toEqual([960, 1280]);
    // The other size begins with a key frame of both pictures.
    expect(keys(full)).toEqual(keys(small));
    expect(small.configs.length).toBe(1);
    made.adapt(2_600_000, false);
    await show(track, 2);
    expect([made.config?.width, made.config?.bitrate]).toEqual([1280, 2_600_000]);
  });

  it("goes on with another track, and follows its size", async () => {
    const [first, second] = [new TrackStandIn(), new TrackStandIn()];
    const made = picture(first);
    await show(first, 10);
    first.end();
    await vi.advanceTimersByTimeAsync(10);
    expect(gone).toBe(1);
    made.cover();
    // The card is repeated like any still picture.
    const [codec] = codecs();
    const before = codec.encoded.length;
    for (let ticks = 0; ticks < 20; ticks += 1) {
      await vi.advanceTimersByTimeAsync(100);
      made.tick();
    }
    expect(codec.encoded.length - before).toBeGreaterThan(3);
    made.follow(second as unknown as MediaStreamVideoTrack);
    await show(second, 5, { size: { displayWidth: 800, displayHeight: 600 } });
    expect([made.config?.width, made.config?.height, gone]).toEqual([800, 600, 1]);
    // Nobody is told of a track that was left.
    over.abort();
    expect(FrameStandIn.open).toBeLessThanOrEqual(1);
  });
});
