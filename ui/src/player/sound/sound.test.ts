import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TrackInfo } from "../../protocol/messages";
import { SOUND } from "../fixtures/boxes";
import { FakeMediaSource } from "../fixtures/media_source";
import { Sound } from "./sound";
import type { ToTape } from "./tape_messages";

const info = (track: number, kind: "video" | "sound", codec: string): TrackInfo => ({
  track,
  kind,
  codec,
  width: 0,
  height: 0,
  frame_rate: 0,
  sample_rate: 0,
  channels: 2,
});
const picture = info(1, "video", "avc1.64000A");
const opus = info(2, "sound", "opus");
const aac = info(2, "sound", "mp4a.40.2");

let life: AbortController;
let video: HTMLVideoElement & EventTarget;
let contexts: FakeContext[];
let blocked: number;
let failed: number;
/** Whether the audio thread can be given its program. */
let hasWorklet: boolean;
/** Whether packets can be decoded. */
let decodes: boolean;

/** What the audio thread was told. */
let told: ToTape[];

class FakeContext {
  state = "running";
  currentTime = 0;
  baseLatency = 0;
  outputLatency = 0;
  destination = {};
  audioWorklet = {
    addModule: async () => {
      if (!hasWorklet) throw new DOMException("no such module", "AbortError");
    },
  };
  constructor() {
    contexts.push(this);
  }
  getOutputTimestamp() {
    return { contextTime: 0, performanceTime: 0 };
  }
  async resume() {}
  async suspend() {}
  async close() {
    this.state = "closed";
  }
}

class FakeTapeNode {
  port = {
    onmessage: null as ((event: { data: unknown }) => void) | null,
    postMessage: (message: ToTape) => {
      told.push(message);
      // The audio thread answers each move.
      if ("turn" in message) {
        const position = message.type === "seek" ? message.to : null;
        this.port.onmessage?.({ data: { at: 0, position, dry: 0, turn: message.turn } });
      }
    },
  };
  connect() {}
}

/** Decodes at once; what comes out follows what came out before, as a browser's decoder has it. */
class FakeDecoder {
  state = "configured";
  #next: number | null = null;
  constructor(private readonly events: { output: (sound: unknown) => void; error: (error: Error) => void }) {}
  configure() {}
  close() {}
  decode(chunk: { timestamp: number }) {
    if (!decodes) {
      this.events.error(new Error("damaged"));
      return;
    }
    const timestamp = this.#next ?? chunk.timestamp;
    this.#next = timestamp + 20_000;
    const sound = { timestamp, numberOfFrames: 960, numberOfChannels: 2, copyTo() {}, close() {} };
    this.events.output(sound);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  [contexts, told, blocked, failed] = [[], [], 0, 0];
  [hasWorklet, decodes] = [true, true];
  life = new AbortController();
  video = Object.assign(new EventTarget(), { muted: false, volume: 1 }) as typeof video;
  vi.stubGlobal("MediaSource", FakeMediaSource);
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal(
    "GainNode",
    class {
      gain = { setTargetAtTime() {} };
      connect() {}
    },
  );
  vi.stubGlobal("AudioWorkletNode", FakeTapeNode);
  vi.stubGlobal("AudioDecoder", FakeDecoder);
  vi.stubGlobal(
    "EncodedAudioChunk",
    class {
      timestamp: number;
      constructor(o: { timestamp: number }) {
        this.timestamp = o.timestamp;
      }
    },
  );
});

afterEach(() => {
  life.abort();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const newSound = () => new Sound(video, { blocked: () => blocked++, failed: () => failed++ }, life.signal);
const settled = () => vi.advanceTimersByTimeAsync(1);

function chunk(sound: Sound, n: number): number | null {
  const capturedAtUs = n * 20_000;
  const header = { key: true, sealed: false, track: 2, segment: 1, chunk: n, capturedAtUs };
  return sound.media({ ...header, kind: "chunk" }, (SOUND.chunks[n] as Uint8Array).slice());
}

function begun(): Sound {
  const sound = newSound();
  sound.watching([picture, opus], [1, 2], true);
  const header = { key: false, sealed: false, track: 2, segment: 0, chunk: 0, capturedAtUs: 0 };
  sound.media({ ...header, kind: "init" }, SOUND.init);
  return sound;
}

describe("what is played beside the picture", () => {
  it("is Opus, and nothing of it is left for the MediaSource", () => {
    const sound = newSound();
    expect(sound.watching([picture, opus], [1, 2], true)).toEqual([picture]);
    expect([sound.takes(1), sound.takes(2)]).toEqual([false, true]);
  });

  it("is not what this browser has no decoder for, what is not sent, and what has no picture", () => {
    for (const [tracks, selected] of [
      [
        [picture, aac],
        [1, 2],
      ],
      [[picture, opus], [1]],
      [[picture, opus], [2]],
      [[opus], [2]],
    ] as [TrackInfo[], number[]][]) {
      const sound = newSound();
      expect(sound.watching(tracks, selected, true)).toEqual(tracks);
      expect(sound.takes(2)).toBe(false);
    }
  });
});

it("decodes each packet once, also when a reconnect brings it again", async () => {
  const sound = begun();
  await settled();
  expect([chunk(sound, 0), chunk(sound, 1), chunk(sound, 1)].map((time) => time !== null)).toEqual([true, true, false]);
  expect(told.filter(({ type }) => type === "write").length).toBe(2);
});

it("puts what comes after missing packets where it belongs", async () => {
  const sound = begun();
  await settled();
  const times = [0, 1, 4].map((n) => chunk(sound, n));
  expect(told.filter((each) => each.type === "write").map(({ time }) => time)).toEqual(times);
});

it("begins where the picture is, once it is known what has come", async () => {
  const sound = begun();
  await settled();
  for (const n of [0, 1, 2, 3]) sound.arrived(n * 0.02, (chunk(sound, n) ?? 0) + 5);
  sound.tick(0.08, 4.9);
  expect(told.find(({ type }) => type === "seek")).toMatchObject({ to: 4.9 });
});

it("holds the picture back for as long as it is heard, and no longer", async () => {
  const sound = begun();
  await settled();
  expect(sound.arrived(0, 5)).toBeGreaterThan(5);
  video.muted = true;
  video.dispatchEvent(new Event("volumechange"));
  expect(sound.arrived(0.02, 5.02)).toBeNull();
});

it("makes nothing of it while the picture is muted", async () => {
  video.muted = true;
  const sound = begun();
  await settled();
  chunk(sound, 0);
  expect([contexts.length, told.length]).toEqual([0, 0]);
  video.muted = false;
  video.dispatchEvent(new Event("volumechange"));
  await settled();
  chunk(sound, 1);
  expect([contexts.length, told.filter(({ type }) => type === "write").length]).toEqual([1, 1]);
});

it("says that sound needs a click where its output does not begin to run", async () => {
  begun();
  const [context] = contexts;
  if (context) context.state = "suspended";
  await vi.advanceTimersByTimeAsync(3000);
  expect(blocked).toBe(1);
});

describe("sound that can't be made here after all", () => {
  const rest = (sound: Sound, fresh: boolean) => sound.watching([picture, opus], [1, 2], fresh);

  it("is the MediaSource's from the next connection on", async () => {
    hasWorklet = false;
    const sound = begun();
    await settled();
    expect([failed, contexts[0]?.state]).toEqual([1, "closed"]);
    // Another picture over the same connection brings no init segment of the sound.
    expect([rest(sound, false), sound.takes(2)]).toEqual([[picture], true]);
    expect([rest(sound, true), sound.takes(2)]).toEqual([[picture, opus], false]);
    expect([rest(sound, false), failed]).toEqual([[picture, opus], 1]);
  });

  it("does not hold the picture back", async () => {
    hasWorklet = false;
    const sound = begun();
    await settled();
    expect(sound.arrived(0, 5)).toBeNull();
  });

  it("is given up when nothing of it could ever be decoded, and not when it is damaged later", async () => {
    decodes = false;
    const sound = begun();
    await settled();
    for (let n = 0; n < 5; n++) chunk(sound, n);
    expect(failed).toBe(1);
    decodes = true;
    const other = begun();
    await settled();
    chunk(other, 0);
    decodes = false;
    for (let n = 1; n < 5; n++) chunk(other, n);
    expect(failed).toBe(1);
  });
});

it("ends with the player", async () => {
  begun();
  await settled();
  life.abort();
  expect(contexts[0]?.state).toBe("closed");
});
