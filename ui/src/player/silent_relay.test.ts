import { describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { answer, holdClocks, Viewer, watching } from "./fixtures/viewer";

holdClocks();

describe("a relay that falls silent", () => {
  const silent = async (...relays: string[]) => {
    const viewer = new Viewer(answer(...relays));
    await viewer.connected();
    await viewer.keepsPace(2000);
    await vi.advanceTimersByTimeAsync(1400);
    return viewer;
  };

  it("gets a second one beside it within a second, which stays when it brings media first", async () => {
    const viewer = await silent("a", "b");
    expect([viewer.last.url, viewer.transports[0]?.closed]).toEqual(["ws://b/ws", false]);
    await viewer.connected();
    expect(viewer.heard.filter((word) => word === "watching").length).toBe(1);
    viewer.last.media(2, 0);
    expect(viewer.transports[0]?.closed).toBe(true);
    expect(viewer.heard.slice(-2)).toEqual(["watching", "media 1/2/0 3"]);
    expect(viewer.heard.some((word) => word.startsWith("lost"))).toBe(false);
  });

  it("stays when it brings media first", async () => {
    const viewer = await silent("a", "b");
    await viewer.connected();
    viewer.transports[0]?.media(1, 9);
    expect(viewer.transports.map(({ closed }) => closed)).toEqual([false, true]);
    await vi.advanceTimersByTimeAsync(1400);
    expect(viewer.transports.length).toBe(3);
  });

  it("is raced by the next but one when the next does not answer", async () => {
    const viewer = await silent("a", "b", "c");
    await vi.advanceTimersByTimeAsync(1800);
    expect(viewer.transports.map(({ url, closed }) => [url, closed])).toEqual([
      ["ws://a/ws", false],
      ["ws://b/ws", true],
      ["ws://c/ws", false],
    ]);
  });

  it("gets a fresh connection to itself where there is no other", async () => {
    const viewer = await silent("a");
    expect(viewer.transports.map(({ url }) => url)).toEqual(["ws://a/ws", "ws://a/ws"]);
  });

  it("gives way at once when it closes", async () => {
    const viewer = await silent("a", "b");
    viewer.transports[0]?.close();
    await viewer.connected();
    viewer.last.media(2, 0);
    expect([viewer.transports.length, viewer.heard.at(-1)]).toEqual([2, "media 1/2/0 3"]);
  });

  it("is not blamed for the sleep of the page", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    await viewer.keepsPace(2000);
    // The clock goes on while no timer runs.
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(200);
    vi.restoreAllMocks();
    expect(viewer.transports.length).toBe(1);
  });
});

describe("a relay that lives but sends no media", () => {
  it("is left when the directory names another that does, and kept until then", async () => {
    const viewer = new Viewer(answer("a"), answer("b"));
    await viewer.connected();
    await viewer.passes(2, false);
    expect([viewer.last.url, viewer.transports[0]?.closed]).toEqual(["ws://b/ws", false]);
    await viewer.connected();
    expect(viewer.transports[0]?.closed).toBe(false);
    viewer.last.media(7, 0);
    expect(viewer.transports[0]?.closed).toBe(true);
    expect(viewer.heard.at(-1)).toBe("media 1/7/0 3");
  });

  it("is asked about after a second when it says that the broadcaster is away", async () => {
    const viewer = new Viewer(answer("a", "b"), answer("b", "a"));
    await viewer.connected();
    viewer.last.say({ type: "broadcaster", present: false });
    await vi.advanceTimersByTimeAsync(1200);
    expect([viewer.asked.length, viewer.last.url, viewer.transports[0]?.closed]).toEqual([2, "ws://b/ws", false]);
  });

  it("is waited at for a broadcaster that has not arrived there yet", async () => {
    const viewer = new Viewer(answer("a"));
    await vi.advanceTimersByTimeAsync(0);
    viewer.last.onopen?.();
    viewer.last.say({ type: "broadcaster", present: false });
    for (let at = 0; at < 8000; at += 250) {
      await vi.advanceTimersByTimeAsync(250);
      viewer.last.say({ type: "viewers", count: 1 });
    }
    viewer.last.say(watching);
    expect([viewer.transports.length, viewer.heard.at(-1)]).toEqual([1, "watching"]);
  });

  it("is kept, and asked about less and less often, while the directory still names it", async () => {
    const viewer = new Viewer(answer("a"));
    await viewer.connected();
    await viewer.passes(120, false);
    expect(viewer.transports.length).toBe(1);
    expect(viewer.asked.length).toBeLessThan(16);
  });

  it("has nothing more when the directory goes on to know of no such stream", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("stream_not_found", "over"));
    await viewer.connected();
    await viewer.passes(12, false);
    expect(viewer.heard).not.toContain("ended");
    await viewer.passes(5, false);
    expect(viewer.heard.at(-1)).toBe("ended");
  });

  it("a stream that plays goes on although the directory has forgotten it", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("stream_not_found", "who?"));
    await viewer.connected();
    await viewer.passes(400);
    expect([viewer.heard.includes("ended"), viewer.transports.length]).toEqual([false, 1]);
  });

  it("as an edge that has lost its way, is passed by once in a silence when the directory still names it first", async () => {
    const viewer = new Viewer(answer("edge", "origin"));
    await viewer.connected();
    viewer.last.say({ ...watching, path: ["origin", "edge"] });
    viewer.last.media(7, 0);
    viewer.last.say({ type: "broadcaster", present: false });
    await vi.advanceTimersByTimeAsync(1200);
    expect([viewer.last.url, viewer.transports[0]?.closed]).toEqual(["ws://origin/ws", false]);
    viewer.last.onopen?.();
    viewer.last.say({ ...watching, path: ["origin"] });
    viewer.last.media(8, 0);
    expect([viewer.transports[0]?.closed, viewer.heard.at(-1)]).toEqual([true, "media 1/8/0 3"]);
  });

  it("as an edge, is not left again and again while no relay has the stream", async () => {
    const viewer = new Viewer(answer("edge", "origin"));
    await viewer.connected();
    viewer.last.say({ ...watching, path: ["origin", "edge"] });
    viewer.last.say({ type: "broadcaster", present: false });
    for (let at = 0; at < 12_000; at += 250) {
      await vi.advanceTimersByTimeAsync(250);
      for (const transport of viewer.transports) transport.say({ type: "viewers", count: 1 });
    }
    expect(viewer.transports.map(({ url }) => url)).toEqual(["ws://edge/ws", "ws://origin/ws"]);
  });

  it("is kept beside each of the others in turn while the directory can't be asked, until one has media", async () => {
    const viewer = new Viewer(answer("a", "b", "c"), new ApiFailure("unreachable", "down"));
    await viewer.connected();
    viewer.last.media(7, 0);
    for (let at = 0; at < 12_000; at += 250) {
      const before = viewer.transports.length;
      await vi.advanceTimersByTimeAsync(250);
      if (viewer.transports.length > before) await viewer.connected();
      for (const transport of viewer.transports) transport.say({ type: "viewers", count: 1 });
    }
    const open = () => viewer.transports.map(({ url, closed }) => `${url}${closed ? " closed" : ""}`);
    expect(open()).toEqual(["ws://a/ws", "ws://b/ws closed", "ws://c/ws"]);
    viewer.last.media(8, 0);
    expect(open()).toEqual(["ws://a/ws closed", "ws://b/ws closed", "ws://c/ws"]);
    expect(viewer.heard.at(-1)).toBe("media 1/8/0 3");
  });

  it("as the origin, is not passed by: the others have the stream from it", async () => {
    const viewer = new Viewer(answer("origin", "edge"));
    await viewer.connected();
    viewer.last.say({ type: "broadcaster", present: false });
    await viewer.passes(10, false);
    expect(viewer.transports.length).toBe(1);
  });
});
