import { expect, it } from "vitest";
import { AppendQueue, PENDING_BYTES_MAX } from "./append_queue";

/** Behaves like a SourceBuffer as far as the queue can see: one operation at a time, each finished by hand. */
class FakeSourceBuffer extends EventTarget {
  updating = false;
  calls: string[] = [];
  refusals = 0;
  ranges: [number, number][] = [[0, 10]];
  get buffered() {
    const ranges = this.ranges;
    return {
      length: ranges.length,
      start: (i: number) => ranges[i]?.[0] ?? 0,
      end: (i: number) => ranges[i]?.[1] ?? 0,
    };
  }
  appendBuffer(bytes: Uint8Array) {
    if (this.updating) throw new DOMException("busy", "InvalidStateError");
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new DOMException("full", "QuotaExceededError");
    }
    this.updating = true;
    this.calls.push(`append ${[...bytes].join(",")}`);
  }
  remove(from: number, to: number) {
    if (this.updating) throw new DOMException("busy", "InvalidStateError");
    this.updating = true;
    this.calls.push(`remove ${from}-${to}`);
  }
  finish() {
    this.updating = false;
    this.dispatchEvent(new Event("updateend"));
  }
}

function queue() {
  const buffer = new FakeSourceBuffer();
  const heard: string[] = [];
  const life = new AbortController();
  const appends = new AppendQueue(
    buffer as unknown as SourceBuffer,
    {
      changed: () => heard.push("changed"),
      overflowed: () => heard.push("overflowed"),
      failed: () => heard.push("failed"),
    },
    life.signal,
  );
  return { buffer, heard, life, appends };
}

it("appends what came during an append all at once after it", () => {
  const { buffer, appends } = queue();
  for (const byte of [1, 2, 3]) appends.append(new Uint8Array([byte]));
  buffer.finish();
  buffer.finish();
  expect(buffer.calls).toEqual(["append 1", "append 2,3"]);
});

it("removes between two appends", () => {
  const { buffer, appends } = queue();
  appends.append(new Uint8Array([1]));
  appends.removeBefore(5);
  appends.append(new Uint8Array([2]));
  buffer.finish();
  buffer.finish();
  expect(buffer.calls).toEqual(["append 1", "remove 0-5", "append 2"]);
});

it("gives up the older half when the browser has no more room, and loses nothing", () => {
  const { buffer, appends, heard } = queue();
  buffer.refusals = 1;
  appends.append(new Uint8Array([1]));
  buffer.finish();
  expect(buffer.calls).toEqual(["remove 0-5", "append 1"]);
  expect(heard).not.toContain("failed");
});

it("fails rather than spin when there is never room", () => {
  const { buffer, appends, heard } = queue();
  buffer.refusals = 1000;
  appends.append(new Uint8Array([1]));
  for (let i = 0; i < 50 && buffer.updating; i++) buffer.finish();
  expect(heard.at(-1)).toBe("failed");
  expect(buffer.calls.length).toBeLessThan(10);
});

it("throws away what waits rather than grow without bound", () => {
  const { buffer, appends, heard } = queue();
  appends.append(new Uint8Array([1]));
  const part = new Uint8Array(PENDING_BYTES_MAX / 4);
  for (let i = 0; i < 5; i++) appends.append(part);
  expect(heard).toEqual(["overflowed"]);
  buffer.finish();
  expect(buffer.calls).toEqual(["append 1"]);
});

it("says once that the media can't be read", () => {
  const { buffer, appends, heard } = queue();
  buffer.dispatchEvent(new Event("error"));
  buffer.dispatchEvent(new Event("error"));
  appends.append(new Uint8Array([1]));
  expect(heard).toEqual(["failed"]);
  expect(buffer.calls).toEqual([]);
});

it("does nothing after its end", () => {
  const { buffer, appends, life, heard } = queue();
  life.abort();
  appends.append(new Uint8Array([1]));
  buffer.finish();
  expect(buffer.calls).toEqual([]);
  expect(heard).toEqual([]);
});
