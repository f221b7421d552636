import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { EVENTS_SILENCE_MS_MAX, EventParser, readEvents } from "./event_stream";

const TEXT = ': alive\n\ndata: {"a":1}\n\nevent: x\r\ndata:{"b":\r\ndata: 2}\r\n\r\nid: 7\n\ndata: {"c":3}\n';

describe("an event stream", () => {
  it("is read the same however it is cut", () => {
    for (let cut = 0; cut <= TEXT.length; cut += 1) {
      const parser = new EventParser();
      const events = [...parser.take(TEXT.slice(0, cut)), ...parser.take(TEXT.slice(cut))];
      expect(events, `cut at ${cut}`).toEqual(['{"a":1}', '{"b":\n2}']);
      expect(parser.take("\n")).toEqual(['{"c":3}']);
    }
  });

  it("is refused when an event has no end", () => {
    const parser = new EventParser();
    expect(() => parser.take(`data: ${"x".repeat(70_000)}`)).toThrow();
  });
});

function server() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(c) {
      controller = c;
    },
  });
  const open = async (signal: AbortSignal) => {
    signal.addEventListener("abort", () => controller?.error(signal.reason));
    return new Response(body);
  };
  const say = (text: string) => controller?.enqueue(new TextEncoder().encode(text));
  return { open, say, end: () => controller?.close() };
}

afterEach(() => vi.useRealTimers());

describe("reading events", () => {
  it("hands each on, and ends with the answer", async () => {
    const { open, say, end } = server();
    const events: unknown[] = [];
    const done = readEvents(open, (event) => events.push(event), new AbortController().signal);
    say('data: {"a":1}\n\nda');
    say('ta: {"b":"é"}\n\n');
    end();
    await done;
    expect(events).toEqual([{ a: 1 }, { b: "é" }]);
  });

  it("fails when nothing is heard any more, not even a sign of life", async () => {
    vi.useFakeTimers();
    const { open, say } = server();
    const done = readEvents(open, () => {}, new AbortController().signal).catch((error) => error);
    await vi.advanceTimersByTimeAsync(EVENTS_SILENCE_MS_MAX - 1000);
    say(": alive\n\n");
    await vi.advanceTimersByTimeAsync(EVENTS_SILENCE_MS_MAX - 1000);
    say(": alive\n\n");
    await vi.advanceTimersByTimeAsync(EVENTS_SILENCE_MS_MAX + 1000);
    expect(await done).toBeInstanceOf(ApiFailure);
  });

  it("ends quietly when nobody wants it any more", async () => {
    const { open } = server();
    const life = new AbortController();
    const done = readEvents(open, () => {}, life.signal);
    life.abort();
    await expect(done).resolves.toBeUndefined();
  });
});
