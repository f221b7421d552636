import { describe, expect, it } from "vitest";
import type { TrackInfo } from "../protocol/messages";
import { TROUBLES_MAX } from "./automatic_picture";
import { nearestTo, picturesOf } from "./picture";
import { Renditions } from "./renditions";

const picture = (track: number, width: number, height: number, codec = "avc1.4D401F"): TrackInfo => ({
  track,
  kind: "video",
  codec,
  width,
  height,
  frame_rate: 30,
  sample_rate: 0,
  channels: 0,
});
const sound: TrackInfo = { ...picture(2, 0, 0, "opus"), kind: "sound", sample_rate: 48_000, channels: 2 };
const full = picture(1, 1280, 720);
const small = picture(3, 640, 360);
const tracks = [full, sound, small];
const playable = ({ codec }: TrackInfo) => codec !== "hvc1";

const automatic = () => new Renditions("automatic", playable, 0);
function troubled(renditions: Renditions, now: number): boolean {
  for (let n = 0; n < TROUBLES_MAX; n += 1) renditions.trouble(now);
  return renditions.look(now);
}

it("sees the pictures by size, whatever their order, and only those that can be played", () => {
  const heights = (list: TrackInfo[]) => picturesOf(list, playable).map(({ height }) => height);
  expect(heights([small, sound, full])).toEqual([720, 360]);
  expect(heights([picture(1, 1920, 1080, "hvc1"), small])).toEqual([360]);
});

it("takes the picture that is nearest in size to what was chosen on another stream", () => {
  const nearest = (height: number, ...heights: number[]) =>
    nearestTo(
      height,
      heights.map((each, n) => picture(n, each * 2, each)),
    )?.height;
  expect(nearest(720, 1080, 360)).toBe(1080);
  expect(nearest(360, 720, 180)).toBe(720);
  expect(nearest(360, 1080, 270)).toBe(270);
  expect(nearest(360)).toBeUndefined();
});

describe("by itself", () => {
  it("wants the largest picture, and a smaller one when the connection does not bear it", () => {
    const renditions = automatic();
    expect(renditions.wanted(tracks)).toBe(1);
    renditions.watching(tracks, [1, 2], true, 0);
    expect(troubled(renditions, 1000)).toBe(true);
    expect(renditions.wanted(tracks)).toBe(3);
    renditions.watching(tracks, [3, 2], false, 2000);
    expect([renditions.wanted(tracks), renditions.facts]).toMatchObject([3, { shown: 3, reduced: true }]);
  });

  it("wants the small picture of the next relay too, and of a broadcaster that is back with other tracks", () => {
    const renditions = automatic();
    renditions.watching(tracks, [1, 2], true, 0);
    troubled(renditions, 1000);
    expect(renditions.wanted(tracks)).toBe(3);
    const others = [picture(5, 800, 600), picture(6, 400, 300)];
    expect(renditions.wanted(others)).toBe(6);
    renditions.watching([full, sound], [1, 2], true, 2000);
    expect([renditions.wanted([full, sound]), renditions.facts]).toEqual([1, null]);
    expect(renditions.wanted([sound])).toBeNull();
  });
});

describe("a smaller picture that does not come", () => {
  const late = (renditions: Renditions, from: number, until: number) => {
    const stuck: number[] = [];
    for (let now = from; now <= until; now += 100) {
      renditions.arrived(now, 1, now <= 1000 ? 50 : (now - 1000) * 0.8);
      renditions.look(now);
      if (renditions.isStuck(now)) stuck.push(now);
    }
    return stuck;
  };

  it("is worth a new connection when the line is full of the larger one, and one only", () => {
    const renditions = automatic();
    renditions.watching(tracks, [1, 2], true, 0);
    expect(late(renditions, 0, 20_000)).toEqual([6500]);
  });

  it("is not worth another one soon, where the relay begins with the larger one all the same", () => {
    const renditions = automatic();
    renditions.watching(tracks, [1, 2], true, 0);
    late(renditions, 0, 7000);
    renditions.watching(tracks, [1, 2], true, 7000);
    expect(late(renditions, 7000, 36_000)).toEqual([]);
    expect(late(renditions, 36_100, 40_000).length).toBe(1);
  });

  it("is waited for where what comes is in time", () => {
    const renditions = new Renditions({ height: 360 }, playable, 0);
    renditions.watching(tracks, [1, 2], true, 0);
    expect(late(renditions, 0, 1000)).toEqual([]);
    for (let now = 1000; now < 20_000; now += 100) {
      renditions.arrived(now, 1, 50);
      expect(renditions.isStuck(now)).toBe(false);
    }
  });

  it("is no reason for one any more once it has come", () => {
    const renditions = automatic();
    renditions.watching(tracks, [1, 2], true, 0);
    late(renditions, 0, 5000);
    renditions.watching(tracks, [3, 2], false, 5000);
    expect(late(renditions, 5100, 20_000)).toEqual([]);
  });
});

describe("by hand", () => {
  it("a choice holds, whatever the connection bears", () => {
    const renditions = automatic();
    renditions.watching(tracks, [1, 2], true, 0);
    renditions.choose({ height: 720 }, 500);
    expect(troubled(renditions, 1000)).toBe(false);
    expect([renditions.wanted(tracks), renditions.facts]).toMatchObject([1, { chosen: 1, reduced: false }]);
    renditions.choose({ height: 360 }, 2000);
    expect(renditions.wanted(tracks)).toBe(3);
  });

  it("a choice of before asks for its picture with the first word of the relay", () => {
    const renditions = new Renditions({ height: 360 }, playable, 0);
    expect(renditions.wanted(tracks)).toBe(3);
  });

  it("going back to automatic tries the largest picture when it was never too much", () => {
    const renditions = new Renditions({ height: 360 }, playable, 0);
    renditions.watching(tracks, [3, 2], true, 0);
    renditions.choose("automatic", 1000);
    expect(renditions.wanted(tracks)).toBe(1);
  });
});

it("is no choice where there is one picture", () => {
  const renditions = automatic();
  renditions.watching([full, sound], [1, 2], true, 0);
  expect(renditions.facts).toBeNull();
});
