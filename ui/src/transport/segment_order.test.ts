import { describe, expect, it } from "vitest";
import { decodeMediaMessage, encodeMediaMessage, type MediaHeader, type MediaMessage } from "../protocol/media_message";
import { SegmentOrder } from "./segment_order";
import {
  GAP_MS_MAX,
  STALL_MS_MAX,
  type Step,
  UNANNOUNCED_MS_MAX,
  WAITING_BYTES_MAX,
  WAITING_SEGMENTS_MAX,
} from "./track_order";

const SEGMENT_US = 2_000_000;

function message(header: Partial<MediaHeader>, bytes = 1): MediaMessage {
  const whole: MediaHeader = {
    kind: "chunk",
    key: header.chunk === 0,
    sealed: false,
    track: 1,
    segment: 0,
    chunk: 0,
    capturedAtUs: (header.segment ?? 0) * SEGMENT_US + (header.chunk ?? 0) * 33_000,
    ...header,
  };
  const decoded = decodeMediaMessage(encodeMediaMessage(whole, new Uint8Array(bytes)));
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded;
}
const init = (track = 1, bytes = 9) => message({ kind: "init", track, capturedAtUs: 5 }, bytes);

/** What was passed on, in words, and what was given up. */
class Viewer {
  order = new SegmentOrder();
  passed: string[] = [];
  givenUp: number[] = [];
  nowMs = 0;

  constructor(...tracks: number[]) {
    this.does(this.order.announced(tracks, 0));
  }
  does({ pass, giveUp }: Step) {
    for (const { header } of pass) {
      const place = `${header.segment}/${header.chunk}`;
      const name = header.kind === "init" ? "init" : place;
      this.passed.push(header.track === 1 ? name : `${header.track}: ${name}`);
    }
    this.givenUp.push(...giveUp);
  }
  takes(stream: number, segment: number, ...chunks: number[]) {
    for (const chunk of chunks) this.does(this.order.take(stream, message({ segment, chunk }), this.nowMs));
  }
  begins(stream: number, segment: number, ...chunks: number[]) {
    this.does(this.order.take(stream, init(), this.nowMs));
    this.takes(stream, segment, ...chunks);
  }
  ended(stream: number) {
    this.does(this.order.ended(stream, this.nowMs));
  }
  /** Time passes as it does with a timer. */
  passes(ms: number) {
    const end = this.nowMs + ms;
    for (let due = this.order.dueAtMs; due !== null && due <= end; due = this.order.dueAtMs) {
      this.nowMs = Math.max(this.nowMs, due);
      this.does(this.order.look(this.nowMs));
    }
    this.nowMs = end;
  }
}

describe("segments that come in order", () => {
  it("are passed on as they come, with one init segment", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0, 1);
    viewer.ended(0);
    viewer.begins(1, 8, 0);
    expect(viewer.passed).toEqual(["init", "7/0", "7/1", "8/0"]);
    expect(viewer.order.dueAtMs).toBeNull();
  });

  it("bring a new init segment where it belongs", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.does(viewer.order.take(1, init(1, 10), 0));
    viewer.takes(1, 8, 0);
    viewer.takes(0, 7, 1);
    viewer.ended(0);
    expect(viewer.passed).toEqual(["init", "7/0", "7/1", "init", "8/0"]);
  });

  it("of different tracks don't wait for each other", () => {
    const viewer = new Viewer(1, 2);
    viewer.begins(0, 7, 0);
    viewer.does(viewer.order.take(1, message({ track: 2, segment: 8 }), 0));
    expect(viewer.passed).toEqual(["init", "7/0", "2: 8/0"]);
  });
});

describe("a segment that overtakes the one before it", () => {
  it("waits until that is whole", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.begins(1, 8, 0, 1);
    viewer.takes(0, 7, 1);
    expect(viewer.passed).toEqual(["init", "7/0", "7/1"]);
    viewer.ended(0);
    viewer.takes(1, 8, 2);
    expect([viewer.passed, viewer.givenUp]).toEqual([["init", "7/0", "7/1", "8/0", "8/1", "8/2"], []]);
  });

  it("waits until that is given up by the relay", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.begins(1, 9, 0);
    viewer.passes(GAP_MS_MAX);
    expect(viewer.passed).toEqual(["init", "7/0"]);
    viewer.ended(0);
    expect(viewer.passed).toEqual(["init", "7/0", "9/0"]);
  });

  it("waits no longer than a stall may last, and what it waited for is not wanted any more", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.passes(1900);
    viewer.begins(1, 8, 0);
    viewer.passes(STALL_MS_MAX - 1);
    viewer.takes(0, 7, 1);
    expect([viewer.passed.at(-1), viewer.givenUp]).toEqual(["7/1", []]);
    viewer.passes(1);
    expect([viewer.passed.at(-1), viewer.givenUp]).toEqual(["8/0", [0]]);
    viewer.takes(1, 8, 1);
    expect(viewer.passed.at(-1)).toBe("8/1");
  });

  it("comes before the next one, also when both have come before it", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.begins(2, 9, 0);
    viewer.begins(1, 8, 0);
    viewer.ended(1);
    viewer.ended(0);
    expect(viewer.passed).toEqual(["init", "7/0", "8/0", "9/0"]);
  });
});

describe("a segment that is missing", () => {
  it("is waited for a moment when the one before it was just over", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.ended(0);
    viewer.begins(2, 9, 0);
    viewer.passes(GAP_MS_MAX - 1);
    viewer.begins(1, 8, 0);
    expect(viewer.passed).toEqual(["init", "7/0", "8/0"]);
    viewer.ended(1);
    expect(viewer.passed.at(-1)).toBe("9/0");
  });

  it("is not waited for longer", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.ended(0);
    viewer.begins(2, 9, 0);
    viewer.passes(GAP_MS_MAX);
    expect(viewer.passed.at(-1)).toBe("9/0");
    viewer.begins(1, 8, 0);
    expect([viewer.passed.at(-1), viewer.givenUp]).toEqual(["9/0", [1]]);
  });

  it("is not waited for by a track that comes back", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.ended(0);
    viewer.passes(6000);
    viewer.begins(1, 10, 0);
    expect(viewer.passed.at(-1)).toBe("10/0");
  });
});

it("a broadcaster that counts from the beginning again is followed", () => {
  const viewer = new Viewer(1);
  viewer.begins(0, 70, 0);
  viewer.ended(0);
  viewer.does(viewer.order.take(1, message({ segment: 0, capturedAtUs: 100 * SEGMENT_US }), 0));
  expect([viewer.passed.at(-1), viewer.givenUp]).toEqual(["0/0", []]);
});

describe("media that come before the relay has said what it sends", () => {
  it("wait for its word", () => {
    const viewer = new Viewer();
    viewer.begins(0, 7, 0, 1);
    viewer.passes(200);
    expect(viewer.passed).toEqual([]);
    viewer.does(viewer.order.announced([1, 2], viewer.nowMs));
    viewer.takes(0, 7, 2);
    expect(viewer.passed).toEqual(["init", "7/0", "7/1", "7/2"]);
  });

  it("wait for the word on another picture, while the last one goes on", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.does(viewer.order.take(1, message({ track: 3, segment: 8 }), 0));
    viewer.takes(0, 7, 1);
    viewer.does(viewer.order.announced([3], 0));
    viewer.takes(0, 7, 2);
    expect(viewer.passed).toEqual(["init", "7/0", "7/1", "3: 8/0", "7/2"]);
  });

  it("don't wait for ever", () => {
    const viewer = new Viewer();
    viewer.begins(0, 7, 0);
    viewer.passes(UNANNOUNCED_MS_MAX);
    expect(viewer.passed).toEqual(["init", "7/0"]);
  });
});

describe("what waits is bounded", () => {
  it("in bytes", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 7, 0);
    viewer.begins(1, 8, 0);
    const half = message({ segment: 8, chunk: 1 }, WAITING_BYTES_MAX / 2);
    viewer.does(viewer.order.take(1, half, 0));
    expect(viewer.givenUp).toEqual([]);
    viewer.does(viewer.order.take(1, half, 0));
    expect([viewer.passed.length, viewer.givenUp]).toEqual([5, [0]]);
  });

  it("in segments", () => {
    const viewer = new Viewer(1);
    viewer.begins(0, 0, 0);
    for (let n = 1; n <= WAITING_SEGMENTS_MAX; n++) viewer.begins(n, n, 0);
    expect(viewer.givenUp).toEqual([]);
    viewer.begins(9, 9, 0);
    expect([viewer.passed, viewer.givenUp]).toEqual([["init", "0/0", "1/0"], [0]]);
  });

  it("in tracks", () => {
    const viewer = new Viewer();
    for (let track = 1; track <= 9; track++) viewer.does(viewer.order.take(track, message({ track }), 0));
    expect(viewer.givenUp).toEqual([9]);
  });
});

describe("a stream that is not one segment of one track", () => {
  it.each([
    ["another segment", message({ segment: 8 })],
    ["another track", message({ track: 2, segment: 7, chunk: 1 })],
    ["a second init segment", init()],
  ])("%s: is given up, and the next one goes on", (_name, odd) => {
    const viewer = new Viewer(1, 2);
    viewer.begins(0, 7, 0);
    viewer.does(viewer.order.take(0, odd, 0));
    expect(viewer.givenUp).toEqual([0]);
    viewer.begins(1, 8, 0);
    expect(viewer.passed).toEqual(["init", "7/0", "8/0"]);
  });

  it("an init segment of another track", () => {
    const viewer = new Viewer(1, 2);
    viewer.does(viewer.order.take(0, init(2), 0));
    viewer.takes(0, 7, 0);
    expect([viewer.passed, viewer.givenUp]).toEqual([[], [0]]);
  });
});

it("however streams interleave and end, chunks come in order and each at most once", () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * below);
  };
  for (let round = 0; round < 200; round++) {
    const viewer = new Viewer(1);
    const streams = Array.from({ length: 6 }, (_, n) => ({ n, next: 0, chunks: 1 + random(5), over: false }));
    while (streams.some(({ over }) => !over)) {
      const from = streams.findIndex(({ over }) => !over);
      const stream = streams[from + random(3)];
      if (!stream || stream.over || viewer.givenUp.includes(stream.n)) {
        if (stream) stream.over = true;
        continue;
      }
      if (stream.next === 0) viewer.begins(stream.n, stream.n, stream.next++);
      else if (stream.next < stream.chunks && random(20) > 0) viewer.takes(stream.n, stream.n, stream.next++);
      else {
        stream.over = true;
        viewer.ended(stream.n);
      }
      viewer.passes(random(80));
    }
    viewer.passes(2000);
    const places = viewer.passed.filter((name) => name !== "init").map((name) => name.split("/").map(Number));
    const sorted = [...places].sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d);
    expect(places).toEqual(sorted);
    expect(new Set(viewer.passed).size).toBe(viewer.passed.length);
    expect(viewer.order.dueAtMs).toBeNull();
  }
});
