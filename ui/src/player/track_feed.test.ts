import { describe, expect, it } from "vitest";
import type { MediaHeader } from "../protocol/media_message";
import { indexOfType, PICTURE, SOUND } from "./fixtures/boxes";
import { readChunkTimes } from "./fmp4";
import { TrackFeed } from "./track_feed";

const info = (kind: "video" | "sound") => ({
  track: 1,
  kind,
  codec: kind === "video" ? "avc1.64000A" : "opus",
  width: 64,
  height: 48,
  frame_rate: 30,
  sample_rate: 0,
  channels: 0,
});
const header = (n: number, key = n === 0, capturedAtUs = 1_000_000 + n * 33_333): MediaHeader => ({
  kind: "chunk",
  key,
  sealed: false,
  track: 1,
  segment: 1,
  chunk: n,
  capturedAtUs,
});
const chunk = (n: number, of = PICTURE) => (of.chunks[n] as Uint8Array).slice();

/** The first picture, `seconds` further on. */
function later(seconds: number) {
  const bytes = chunk(0);
  const at = indexOfType(bytes, "tfdt");
  new DataView(bytes.buffer).setUint32(at + 12, seconds * 15360);
  return bytes;
}

function pictureFeed() {
  const feed = new TrackFeed(info("video"), true);
  expect(feed.takeInit(PICTURE.init)).toBe("new");
  return feed;
}

it("declares each picture to last a second, but counts the edge by when pictures are shown", () => {
  const feed = pictureFeed();
  const first = feed.take(header(0), chunk(0));
  feed.take(header(1), chunk(1));
  if (first.kind !== "chunk" || !feed.facts) throw new Error(first.kind);
  expect(readChunkTimes(first.bytes, feed.facts)?.endTime).toBe(15360);
  expect(feed.edge).toBeCloseTo(1 / 30);
});

it("leaves the duration of sound alone: its edge is its end", () => {
  const feed = new TrackFeed(info("sound"), true);
  feed.takeInit(SOUND.init);
  const bytes = chunk(0, SOUND);
  const taken = feed.take(header(0), bytes);
  expect(taken).toMatchObject({ kind: "chunk", bytes: chunk(0, SOUND) });
  expect(feed.edge).toBeGreaterThan(0.005);
});

it("begins at a key chunk", () => {
  const feed = pictureFeed();
  expect(feed.take(header(1), chunk(1)).kind).toBe("ignored");
  expect(feed.take(header(0), chunk(0)).kind).toBe("chunk");
});

it("takes no chunk twice when a new relay repeats the segment, and goes on with the ones it lacks", () => {
  const feed = pictureFeed();
  feed.take(header(0), chunk(0));
  feed.take(header(1), chunk(1));
  expect(feed.takeInit(PICTURE.init.slice())).toBe("same");
  expect([0, 1, 2].map((n) => feed.take(header(n), chunk(n)).kind)).toEqual(["ignored", "ignored", "chunk"]);
  expect(feed.segment.length).toBe(3);
});

it("notices a broadcaster that started its timeline anew", () => {
  const feed = pictureFeed();
  feed.take(header(0), later(60));
  expect(feed.take(header(0, true, 90_000_000), chunk(0))).toEqual({ kind: "restarted" });
  feed.restart();
  expect(feed.take(header(0, true, 90_000_000), chunk(0)).kind).toBe("chunk");
});

it("takes late sound that silence already covers for what it is, not for a new timeline", () => {
  const feed = new TrackFeed(info("sound"), true);
  feed.takeInit(SOUND.init);
  feed.take(header(0), chunk(0, SOUND));
  feed.edge = 5;
  expect(feed.take(header(1, true, 9_000_000), chunk(1, SOUND))).toEqual({ kind: "ignored" });
});

it("knows when the frame on the screen was captured", () => {
  const feed = pictureFeed();
  expect(feed.capturedAtMs(0)).toBeNull();
  for (const n of [0, 1, 2]) feed.take(header(n), chunk(n));
  expect(feed.capturedAtMs(1 / 30)).toBeCloseTo(1033.333);
  expect(feed.capturedAtMs(0.05)).toBeCloseTo(1033.333);
  expect(feed.capturedAtMs(99)).toBeCloseTo(1066.666);
});

it("plays nothing that is sealed or broken", () => {
  const feed = pictureFeed();
  expect(feed.take({ ...header(0), sealed: true }, chunk(0)).kind).toBe("ignored");
  expect(feed.take(header(0), new Uint8Array([1, 2, 3])).kind).toBe("ignored");
  expect(feed.takeInit(new Uint8Array(40))).toBe("broken");
});

describe("what a new buffer is filled with", () => {
  it("is the segment since the newest key chunk", () => {
    const feed = pictureFeed();
    feed.take(header(0), chunk(0));
    feed.take(header(1), chunk(1));
    expect(feed.segment.length).toBe(2);
    feed.take(header(2, true), chunk(2));
    expect(feed.segment.length).toBe(1);
  });

  it("is nothing after a loss, until the next key chunk", () => {
    const feed = pictureFeed();
    feed.take(header(0), chunk(0));
    feed.waitForKey();
    expect(feed.take(header(1), chunk(1)).kind).toBe("ignored");
    expect(feed.segment.length).toBe(0);
    expect(feed.take(header(2, true), chunk(2)).kind).toBe("chunk");
  });
});
