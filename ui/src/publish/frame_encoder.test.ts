import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CodecStandIn, FrameStandIn, stubCodecs } from "./fixtures/codecs";
import { FrameEncoder } from "./frame_encoder";

const CONFIG = { codec: "avc1.42E01F", width: 1280, height: 720, frameRate: 30, bitrate: 2_600_000 };
const frame = new FrameStandIn({ displayWidth: 1280, displayHeight: 720 }) as unknown as VideoFrame;

let parameters: number;
let pictures: { timeUs: number; key: boolean }[];
let keyFramesWanted: number;
let failed: number;

function encoder(): FrameEncoder {
  const made = new FrameEncoder({
    onParameters: () => {
      parameters += 1;
    },
    onPicture: ({ timeUs, key }) => pictures.push({ timeUs, key }),
    onKeyFrameWanted: () => {
      keyFramesWanted += 1;
    },
    onFailed: () => {
      failed += 1;
    },
  });
  made.configure(CONFIG);
  return made;
}
const newest = () => CodecStandIn.made.at(-1) as CodecStandIn;

beforeEach(() => {
  stubCodecs();
  pictures = [];
  parameters = keyFramesWanted = failed = 0;
});
afterEach(() => vi.unstubAllGlobals());

it("gives pictures with their times, and its parameters once", () => {
  const made = encoder();
  made.encode(frame, 10, true);
  made.encode(frame, 20, false);
  newest().give({ parameters: 1 });
  expect(pictures).toEqual([
    { timeUs: 10, key: true },
    { timeUs: 20, key: false },
  ]);
  expect([parameters, keyFramesWanted]).toEqual([1, 0]);
});

it("takes more or fewer bits without another codec, and only when they differ", () => {
  const made = encoder();
  made.tune(2_600_000, 30);
  made.tune(800_000, 30);
  made.tune(800_000, 30);
  expect(CodecStandIn.made.length).toBe(1);
  expect(newest().configs.map(({ bitrate, framerate }) => [bitrate, framerate])).toEqual([
    [2_600_000, 30],
    [800_000, 30],
  ]);
});

it("asks for a key frame when its parameters change where nobody asked for one", () => {
  const made = encoder();
  made.encode(frame, 10, true);
  newest().give({ parameters: 1 });
  made.encode(frame, 20, false);
  newest().give({ parameters: 2 });
  expect([parameters, keyFramesWanted]).toEqual([2, 1]);
});

it("replaces a codec that fails or is taken away, with the newest bits, and asks for a key frame", () => {
  const made = encoder();
  made.tune(800_000, 15);
  newest().fail();
  expect(CodecStandIn.made.length).toBe(2);
  expect(newest().configs).toMatchObject([{ bitrate: 800_000, framerate: 15 }]);
  expect([keyFramesWanted, made.ready]).toEqual([1, true]);
  made.encode(frame, 30, true);
  newest().give();
  expect(pictures).toEqual([{ timeUs: 30, key: true }]);
});

it("gives up when several fail in a row, but not when they worked in between", () => {
  const made = encoder();
  for (let failures = 0; failures < 10; failures += 1) {
    newest().fail();
    made.encode(frame, failures, true);
    newest().give();
  }
  expect(failed).toBe(0);
  for (let failures = 0; failures < 4; failures += 1) newest().fail();
  expect([failed, made.ready]).toEqual([1, false]);
  made.encode(frame, 99, true);
  made.configure(CONFIG);
  expect(made.ready).toBe(false);
});
