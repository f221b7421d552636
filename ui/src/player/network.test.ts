import { describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { answer, holdClocks, Viewer, withTicket } from "./fixtures/viewer";
import { machineNetwork, type NetworkEvent, SLEPT_MS } from "./network";

holdClocks();

describe("a network that is back", () => {
  it("ends a pause that was meant for its absence", async () => {
    const down = new ApiFailure("unreachable", "down");
    const viewer = new Viewer(down);
    await vi.advanceTimersByTimeAsync(30_000);
    const asked = viewer.asked.length;
    viewer.network.says({ kind: "offline" });
    viewer.network.says({ kind: "online" });
    await vi.advanceTimersByTimeAsync(10);
    expect(viewer.asked.length).toBe(asked + 1);
  });

  it("makes the next attempts come quickly again: it may need a moment", async () => {
    const down = new ApiFailure("unreachable", "down");
    const viewer = new Viewer(down);
    await vi.advanceTimersByTimeAsync(60_000);
    viewer.network.says({ kind: "online" });
    const asked = viewer.asked.length;
    await vi.advanceTimersByTimeAsync(1000);
    expect(viewer.asked.length).toBeGreaterThanOrEqual(asked + 3);
  });

  it("does not end a pause that a server asked for", async () => {
    const viewer = new Viewer(new ApiFailure("too_many_requests", "slow", 20_000), answer("a"));
    await vi.advanceTimersByTimeAsync(5000);
    viewer.network.says({ kind: "online" });
    await vi.advanceTimersByTimeAsync(5000);
    expect(viewer.asked.length).toBe(1);
  });

  it("gets a second connection at once beside one that says nothing", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    await viewer.keepsPace(2000);
    await vi.advanceTimersByTimeAsync(600);
    viewer.network.says({ kind: "online" });
    expect(viewer.transports.map(({ url, closed }) => [url, closed])).toEqual([
      ["ws://a/ws", false],
      ["ws://b/ws", false],
    ]);
  });

  it("leaves a connection alone that brings media", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    await viewer.keepsPace(2000);
    viewer.network.says({ kind: "online" });
    await vi.advanceTimersByTimeAsync(100);
    expect(viewer.transports.length).toBe(1);
  });

  it("is not made to wait for an answer to what was asked before", async () => {
    const viewer = new Viewer(new Promise(() => {}), answer("a"));
    await vi.advanceTimersByTimeAsync(3000);
    viewer.network.says({ kind: "online" });
    await vi.advanceTimersByTimeAsync(100);
    expect([viewer.asked.length, viewer.last.url]).toEqual([2, "ws://a/ws"]);
  });
});

describe("a machine that slept", () => {
  it("renews a ticket whose time has gone by in its sleep, and tries with the new one", async () => {
    const viewer = new Viewer(withTicket("first", "a", "b"), withTicket("second", "a", "b"));
    await viewer.connected();
    await viewer.keepsPace(2000);
    await vi.advanceTimersByTimeAsync(600);
    viewer.network.says({ kind: "woke", missedMs: 3_600_000 });
    viewer.last.onopen?.();
    viewer.last.say({ type: "error", code: "ticket_expired", message: "late" });
    await vi.advanceTimersByTimeAsync(700);
    viewer.last.onopen?.();
    expect(viewer.asked).toEqual([{}, { ticket: "first" }]);
    expect(viewer.said[0]?.ticket).toBe("second");
  });

  it("is noticed by a clock on the wall that went further than the timers", async () => {
    const events: NetworkEvent[] = [];
    const life = new AbortController();
    machineNetwork().watch((event) => events.push(event), life.signal);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(events).toEqual([]);
    vi.setSystemTime(Date.now() + 10 * SLEPT_MS);
    await vi.advanceTimersByTimeAsync(1000);
    expect(events).toEqual([{ kind: "woke", missedMs: 10 * SLEPT_MS }]);
    life.abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});
