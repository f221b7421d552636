import { beforeEach, expect, it } from "vitest";
import { ShownFrames } from "./shown_frames";

/** A picture captured at its media time, shown 120 ms later. */
const LATE_MS = 120;

let video: { currentTime: number; seeking: boolean; total: number; tell: ((now: number, of: object) => void) | null };
let now: number;
let shown: ShownFrames;

function watching(tells: boolean): void {
  video = { currentTime: 0, seeking: false, total: 0, tell: null };
  const element = {
    get currentTime() {
      return video.currentTime;
    },
    get seeking() {
      return video.seeking;
    },
    getVideoPlaybackQuality: () => ({ totalVideoFrames: video.total }),
    requestVideoFrameCallback: (tell: (now: number, of: object) => void) => {
      video.tell = tells ? tell : null;
    },
  } as unknown as HTMLVideoElement;
  const capturedAtMs = (mediaTime: number) => mediaTime * 1000;
  shown = new ShownFrames(element, { capturedAtMs, nowMs: () => now }, new AbortController().signal);
}

/** So many seconds at 30 frames a second, looked at twice a second. */
function plays(seconds: number): void {
  for (let n = 1; n <= seconds * 30; n++) {
    now += 1000 / 30;
    video.total += 1;
    video.currentTime = (now - LATE_MS) / 1000;
    video.tell?.(now, { mediaTime: video.currentTime, presentedFrames: video.total, expectedDisplayTime: 0 });
    if (n % 15 === 0) shown.look(now);
  }
}

beforeEach(() => {
  now = 10_000;
});

it.each([true, false])("tells rate and latency of a picture that tells of its frames, or does not: %s", (tells) => {
  watching(tells);
  plays(10);
  expect(shown.perSecond(now)).toBeGreaterThan(28);
  expect(shown.perSecond(now)).toBeLessThan(33);
  expect(shown.latencyMs).toBeCloseTo(LATE_MS);
});

it("counts no frame twice where a picture tells of its frames", () => {
  watching(true);
  plays(10);
  const before = shown.perSecond(now);
  for (let n = 0; n < 5; n++) shown.look(now);
  expect(shown.perSecond(now)).toBe(before);
});

it("takes nothing from a picture that stands still or seeks, nor frames back when it counts anew", () => {
  watching(false);
  shown.look(now);
  expect(shown.latencyMs).toBeNull();
  plays(4);
  video.seeking = true;
  video.currentTime = 99;
  shown.look(now);
  expect(shown.latencyMs).toBeCloseTo(LATE_MS);
  video.seeking = false;
  video.total = 0;
  plays(4);
  expect(shown.perSecond(now)).toBeGreaterThan(20);
});
