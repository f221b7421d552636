import { describe, expect, it, vi } from "vitest";
import type { ApiFailure } from "../protocol/api_failure";
import type { WatchAnswer } from "../protocol/messages";
import { answer, type FakeTransport, holdClocks, Viewer, watching, withTicket } from "./fixtures/viewer";

holdClocks();

describe("a stream that moves", () => {
  const elsewhere = [{ name: "b", url: "ws://b/ws" }];
  const moving = async (...answers: (WatchAnswer | ApiFailure)[]) => {
    const viewer = new Viewer(...answers);
    await viewer.connected();
    viewer.last.initSegment();
    for (let n = 0; n < 5; n += 1) viewer.last.media(4, n);
    viewer.last.say({ type: "move", relays: elsewhere, within_ms: 3000 });
    await vi.advanceTimersByTimeAsync(0);
    const [old, fresh] = viewer.transports as [FakeTransport, FakeTransport];
    return { viewer, old, fresh };
  };
  const media = (viewer: Viewer) => viewer.heard.filter((word) => word.startsWith("media"));

  it("is followed at a segment's boundary, with nothing twice and nothing lost, without a word", async () => {
    const { viewer, old, fresh } = await moving(answer("a", "b"));
    expect([fresh.url, viewer.asked.length]).toEqual(["ws://b/ws", 1]);
    await viewer.connected();
    fresh.initSegment();
    fresh.media(5, 0);
    fresh.media(5, 1);
    old.media(4, 5);
    expect(old.closed).toBe(false);
    old.media(5, 0);
    expect([old.closed, fresh.closed]).toEqual([true, false]);
    fresh.media(5, 2);
    expect(media(viewer).slice(1)).toEqual(
      ["4/0", "4/1", "4/2", "4/3", "4/4", "4/5", "5/0", "5/1", "5/2"].map((place) => `media 1/${place} 3`),
    );
    expect(viewer.heard.filter((word) => !word.startsWith("media"))).toEqual(["watching"]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(viewer.transports.length).toBe(2);
  });

  it("to a relay that the ticket does not name is followed with a new one", async () => {
    const { viewer, fresh } = await moving(answer("a"), withTicket("second", "b", "a"));
    fresh.onopen?.();
    expect([viewer.asked, fresh.url]).toEqual([[{}, { ticket: "ticket" }], "ws://b/ws"]);
    expect(JSON.parse(fresh.sent[0] ?? "").ticket).toBe("second");
  });

  it("is looked for again when the new place brings nothing in time", async () => {
    const { viewer, old } = await moving(answer("a", "b"), answer("c"));
    await vi.advanceTimersByTimeAsync(3200);
    expect(old.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(3000);
    expect(viewer.transports.some(({ url }) => url === "ws://c/ws")).toBe(true);
  });

  it("goes on with what the new relay has when the old one closes", async () => {
    const { viewer, old, fresh } = await moving(answer("a", "b"));
    await viewer.connected();
    fresh.media(5, 0);
    old.close();
    expect(media(viewer).at(-1)).toBe("media 1/5/0 3");
    expect(viewer.heard.some((word) => word.startsWith("lost"))).toBe(false);
  });

  it("does not wait for a track that brings nothing at the new relay", async () => {
    const { viewer, old, fresh } = await moving(answer("a", "b"));
    fresh.onopen?.();
    fresh.say({ ...watching, selected: [1, 2] });
    fresh.media(4, 4);
    fresh.media(4, 5);
    await vi.advanceTimersByTimeAsync(900);
    expect([media(viewer).at(-1), old.closed]).toEqual(["media 1/4/5 3", false]);
    await vi.advanceTimersByTimeAsync(200);
    expect(old.closed).toBe(true);
  });
});
