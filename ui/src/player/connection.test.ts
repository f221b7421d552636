import { describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { encodeMediaMessage } from "../protocol/media_message";
import type { WatchAnswer } from "../protocol/messages";
import { Connection, type ConnectionEvents } from "./connection";
import { answer, chunk, FakeTransport, holdClocks, Viewer } from "./fixtures/viewer";
import { OPEN_TIME_MS_MAX, SILENCE_MS_MAX } from "./visit";

holdClocks();

it("says hello with the ticket and hands on everything that comes", async () => {
  const viewer = new Viewer(answer("a"));
  await viewer.connected();
  expect(JSON.parse(viewer.last.sent[0] ?? "")).toEqual({ type: "watch_stream", protocol: 1, ticket: "ticket" });
  viewer.last.onmessage?.(encodeMediaMessage(chunk, new Uint8Array(3)).buffer);
  viewer.last.say({ type: "viewers", count: 4 });
  viewer.last.say({ type: "skipped", track: 1, chunks: 9 });
  viewer.last.say({ type: "broadcaster", present: false });
  viewer.last.say({ type: "of a later version" });
  viewer.last.onmessage?.("{nonsense");
  viewer.last.onmessage?.(new ArrayBuffer(5));
  expect(viewer.heard).toEqual(["watching", "media 1/7/0 3", "viewers 4", "skipped 9", "broadcaster false"]);
});

describe("a connection that breaks", () => {
  it("goes on at the next relay within a tenth of a second, then asks the directory again", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(100);
    expect(viewer.last.url).toBe("ws://b/ws");
    expect(viewer.asked.length).toBe(1);
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(viewer.asked.length).toBe(2);
    expect(viewer.last.url).toBe("ws://a/ws");
  });

  it("never gives up, and does not hammer", async () => {
    const viewer = new Viewer(answer("a"));
    for (let second = 0; second < 600; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      if (viewer.transports.length > 0) viewer.last.close();
    }
    expect(viewer.transports.length).toBeGreaterThan(150);
    expect(viewer.transports.length).toBeLessThan(400);
    await vi.advanceTimersByTimeAsync(3000);
    await viewer.connected();
    expect(viewer.heard.at(-1)).toBe("watching");
  });

  it("goes once through the whole list behind the relay that served, without a pause, and names the one that failed", async () => {
    const viewer = new Viewer(answer("a", "b", "c"));
    await vi.advanceTimersByTimeAsync(0);
    viewer.last.close();
    await viewer.connected();
    await viewer.keepsPace(4000);
    for (const url of ["ws://c/ws", "ws://a/ws"]) {
      viewer.last.close();
      await vi.advanceTimersByTimeAsync(0);
      expect(viewer.last.url).toBe(url);
    }
    expect(viewer.asked.length).toBe(1);
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(200);
    expect(viewer.asked.at(-1)).toEqual({ ticket: "ticket", failed: "b" });
  });

  it("goes on with the relays it knows while the directory is away", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("unreachable", "down"));
    await viewer.connected();
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(2000);
    expect(viewer.transports.length).toBeGreaterThan(1);
    expect(viewer.last.url).toBe("ws://a/ws");
  });

  it("is noticed when the relay falls silent without a word", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    for (let i = 0; i < 10; i++) {
      await vi.advanceTimersByTimeAsync(2000);
      viewer.last.say({ type: "viewers", count: 1 });
    }
    expect(viewer.transports.length).toBe(1);
    await vi.advanceTimersByTimeAsync(SILENCE_MS_MAX + 1500);
    expect(viewer.transports[0]?.closed).toBe(true);
    expect(viewer.last.url).toBe("ws://b/ws");
  });

  it("waits longer and longer for relays that accept but never answer", async () => {
    const viewer = new Viewer(answer("a"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(viewer.heard.slice(0, 5)).toEqual(["lost 1", "lost 2", "lost 3", "lost 4", "lost 5"]);
  });

  it("is given up when a relay accepts but never answers", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(OPEN_TIME_MS_MAX + 400);
    expect(viewer.transports[0]?.closed).toBe(true);
    expect(viewer.transports[1]?.url).toBe("ws://b/ws");
  });

  it("hears nothing more from a transport that it left", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    const old = viewer.last;
    old.close();
    await vi.advanceTimersByTimeAsync(100);
    old.say({ type: "stream_ended" });
    expect(viewer.heard).not.toContain("ended");
  });
});

describe("words of the relay", () => {
  it("asks the directory at once when the relay leaves", async () => {
    const viewer = new Viewer(answer("a"), answer("b"));
    await viewer.connected();
    for (let i = 0; i < 3; i++) {
      await vi.advanceTimersByTimeAsync(2000);
      viewer.last.say({ type: "viewers", count: 1 });
    }
    viewer.last.say({ type: "move", within_ms: 3000 });
    await vi.advanceTimersByTimeAsync(0);
    expect(viewer.last.url).toBe("ws://b/ws");
  });

  it("does not spin when every relay sends it away", async () => {
    const viewer = new Viewer(answer("a"));
    for (let i = 0; i < 1000; i++) {
      await vi.advanceTimersByTimeAsync(10);
      if (viewer.transports.length > 0) viewer.last.say({ type: "move", within_ms: 0 });
    }
    expect(viewer.asked.length).toBeLessThan(15);
  });

  it("an expired ticket is replaced, not tried at the next relay", async () => {
    const viewer = new Viewer(answer("a", "b"), answer("c"));
    await viewer.connected();
    viewer.last.say({ type: "error", code: "ticket_expired", message: "late" });
    await vi.advanceTimersByTimeAsync(200);
    expect(viewer.transports.map((transport) => transport.url)).toEqual(["ws://a/ws", "ws://c/ws"]);
  });

  it("a full relay is left for the next", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    viewer.last.say({ type: "error", code: "too_many_viewers", message: "full" });
    await vi.advanceTimersByTimeAsync(200);
    expect(viewer.last.url).toBe("ws://b/ws");
  });

  it("an old page fails with the relay's code", async () => {
    const viewer = new Viewer(answer("a"));
    await viewer.connected();
    viewer.last.say({ type: "error", code: "unsupported_protocol", message: "old" });
    await viewer.done;
    expect(viewer.heard.at(-1)).toBe("failed unsupported_protocol");
  });

  it("the end of the stream is the end", async () => {
    const viewer = new Viewer(answer("a"));
    await viewer.connected();
    viewer.last.say({ type: "stream_ended" });
    await viewer.done;
    expect(viewer.heard.at(-1)).toBe("ended");
    expect(viewer.last.closed).toBe(true);
  });
});

describe("answers of the directory", () => {
  it("a stream that is not known has failed at first", async () => {
    const unknown = new Viewer(new ApiFailure("stream_not_found", "no"));
    await unknown.done;
    expect(unknown.heard).toEqual(["failed stream_not_found"]);
  });

  it("a directory that is down is asked again until it is back", async () => {
    const down = new ApiFailure("unreachable", "down");
    const viewer = new Viewer(down, down, down, down, answer("a"));
    await vi.advanceTimersByTimeAsync(4000);
    await viewer.connected();
    expect(viewer.heard).toEqual(["lost 1", "lost 2", "lost 3", "lost 4", "watching"]);
  });

  it("a directory that never answers counts as down", async () => {
    let asked = 0;
    const life = new AbortController();
    const nothing = () => {};
    const events: ConnectionEvents = {
      answered: nothing,
      watching: nothing,
      media: nothing,
      skipped: nothing,
      viewers: nothing,
      broadcaster: nothing,
      lost: nothing,
      ended: nothing,
      failed: nothing,
    };
    const watch = () => {
      asked += 1;
      return new Promise<WatchAnswer>(() => {});
    };
    const openTransport = ({ url }: { url: string }, signal: AbortSignal) => new FakeTransport(url, signal);
    const passwords = { recall: () => null, remember: nothing, forget: nothing, ask: async () => "" };
    const options = { streamId: "s", api: { watch }, passwords, openTransport, events, signal: life.signal };
    void new Connection(options).run();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked).toBeGreaterThan(1);
    life.abort();
  });
});

it("one abort ends everything", async () => {
  const viewer = new Viewer(answer("a"));
  await viewer.connected();
  const before = viewer.heard.length;
  viewer.life.abort();
  await viewer.done;
  expect(viewer.last.closed).toBe(true);
  viewer.transports[0]?.say({ type: "viewers", count: 2 });
  expect(viewer.heard.length).toBe(before);
  expect(vi.getTimerCount()).toBe(0);
});
