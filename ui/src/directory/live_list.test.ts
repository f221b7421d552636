import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { StreamSummary } from "../protocol/generated/StreamSummary";
import { type EventSourceLike, type ListState, LiveList } from "./live_list";

const stream = (id: string, viewers = 0): StreamSummary => ({
  id,
  title: id,
  created_at_ms: 0,
  state: "live",
  viewers,
  sealed: false,
});

class Source implements EventSourceLike {
  onmessage: EventSourceLike["onmessage"] = null;
  onerror: EventSourceLike["onerror"] = null;
  closed = false;
  close() {
    this.closed = true;
  }
  say(event: unknown) {
    this.onmessage?.({ data: typeof event === "string" ? event : JSON.stringify(event) });
  }
}

let sources: Source[] = [];
function open(): { list: LiveList; states: ListState[] } {
  const list = new LiveList(() => {
    const source = new Source();
    sources.push(source);
    return source;
  });
  const states: ListState[] = [];
  list.subscribe((state) => states.push(state));
  return { list, states };
}
const ids = (state: ListState | undefined) =>
  state && state.kind !== "loading" ? state.streams?.map((known) => known.id) : undefined;

beforeEach(() => {
  sources = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it("takes the list first, then its changes", () => {
  const { list } = open();
  expect(list.state).toEqual({ kind: "loading" });
  sources[0]?.say({ type: "streams", streams: [stream("a"), stream("b")] });
  sources[0]?.say({ type: "stream_changed", stream: stream("c") });
  sources[0]?.say({ type: "stream_changed", stream: stream("a", 7) });
  sources[0]?.say({ type: "stream_removed", id: "b" });
  expect(list.state).toEqual({ kind: "current", streams: [stream("a", 7), stream("c")] });
});

it("says that the directory is away, keeps what it knew, and comes back by itself", () => {
  const { list, states } = open();
  sources[0]?.say({ type: "streams", streams: [stream("a")] });
  sources[0]?.onerror?.();
  expect([list.state.kind, ids(list.state), sources[0]?.closed]).toEqual(["unreachable", ["a"], true]);
  vi.advanceTimersByTime(1000);
  expect(sources.length).toBe(2);
  // A change without the list before it can't be placed.
  sources[1]?.say({ type: "stream_changed", stream: stream("x") });
  expect(list.state.kind).toBe("unreachable");
  sources[1]?.say({ type: "streams", streams: [stream("b")] });
  expect(ids(states.at(-1))).toEqual(["b"]);
});

it("waits longer and longer, but never more than eight seconds", () => {
  open();
  const waits: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const before = sources.length;
    sources.at(-1)?.onerror?.();
    let waited = 0;
    while (sources.length === before) {
      vi.advanceTimersByTime(500);
      waited += 500;
    }
    waits.push(waited);
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 8000, 8000]);
});

it("tries at once when a person asks for it", () => {
  const { list } = open();
  sources[0]?.onerror?.();
  list.retry();
  expect(sources.length).toBe(2);
  vi.advanceTimersByTime(20_000);
  expect(sources.length).toBe(2);
});

it("ignores events that it does not know or can't read", () => {
  const { list } = open();
  sources[0]?.say({ type: "streams", streams: [stream("a")] });
  sources[0]?.say({ type: "applause" });
  sources[0]?.say("nonsense");
  expect(ids(list.state)).toEqual(["a"]);
});

it("does nothing any more when it is closed", () => {
  const { list } = open();
  sources[0]?.onerror?.();
  list.close();
  vi.advanceTimersByTime(20_000);
  expect(sources.length).toBe(1);
});
