import { describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { answer, holdClocks, Viewer, withTicket } from "./fixtures/viewer";

holdClocks();

describe("a ticket", () => {
  it("is renewed at half of its life over the open socket", async () => {
    const viewer = new Viewer(withTicket("first", "a"), withTicket("second", "a"), withTicket("third", "a"));
    await viewer.connected();
    await viewer.passes(290);
    expect(viewer.asked).toEqual([{}]);
    await viewer.passes(20);
    expect(viewer.asked).toEqual([{}, { ticket: "first" }]);
    await viewer.passes(300);
    expect(viewer.asked.at(-1)).toEqual({ ticket: "second" });
    expect(viewer.said.slice(1)).toEqual([
      { type: "renew_ticket", ticket: "second" },
      { type: "renew_ticket", ticket: "third" },
    ]);
    expect(viewer.transports.length).toBe(1);
  });

  it("comes with more relays soon after the directory was gone, and each of them is tried before it is asked again", async () => {
    const short = { ...answer("a"), ask_again_ms: 5000 };
    const viewer = new Viewer(short, answer("a", "b"));
    await viewer.connected();
    await viewer.passes(8);
    expect([viewer.asked.length, viewer.transports.length]).toEqual([2, 1]);
    viewer.last.close();
    await viewer.connected();
    expect([viewer.asked.length, viewer.last.url]).toEqual([2, "ws://b/ws"]);
  });

  it("is tried again while the directory is away, and the stream goes on", async () => {
    const away = new ApiFailure("unreachable", "down");
    const viewer = new Viewer(answer("a"), away, away, away, answer("a"));
    await viewer.connected();
    await viewer.passes(330);
    expect([viewer.asked.length, viewer.transports.length, viewer.said.length]).toEqual([5, 1, 2]);
  });

  it("moves the viewer when the directory no longer names its relay", async () => {
    const viewer = new Viewer(answer("a"), withTicket("second", "b"));
    await viewer.connected();
    await viewer.passes(310);
    await viewer.connected();
    expect([viewer.last.url, viewer.said[0]?.ticket]).toEqual(["ws://b/ws", "second"]);
    expect(viewer.transports.length).toBe(2);
  });

  it("is what a viewer comes back with, so that it stays who it is", async () => {
    const viewer = new Viewer(withTicket("first", "a"), withTicket("second", "a"));
    await viewer.connected();
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(viewer.asked).toEqual([{}, { ticket: "first", failed: "a" }]);
  });

  it("that is of no use any more is given up for a new one", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("ticket_invalid", "no"), withTicket("new", "a"));
    await viewer.connected();
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await viewer.connected();
    expect(viewer.asked).toEqual([{}, { ticket: "ticket", failed: "a" }, { failed: "a" }]);
    expect(viewer.said[0]?.ticket).toBe("new");
  });
});

describe("a viewer who was removed", () => {
  it("is told for good by the relay", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    viewer.last.say({ type: "error", code: "viewer_removed", message: "removed" });
    await viewer.done;
    expect([viewer.heard.at(-1), viewer.transports.length]).toEqual(["failed viewer_removed", 1]);
  });

  it("is told for good by the directory, when it asks in and when it renews", async () => {
    const removed = new ApiFailure("viewer_removed", "removed");
    const fresh = new Viewer(removed);
    await fresh.done;
    expect(fresh.heard).toEqual(["failed viewer_removed"]);
    const renewing = new Viewer(answer("a"), removed);
    await renewing.connected();
    await renewing.passes(310);
    await renewing.done;
    expect(renewing.heard.at(-1)).toBe("failed viewer_removed");
    expect(renewing.last.closed).toBe(true);
  });
});

describe("a password", () => {
  const required = new ApiFailure("password_required", "which?");
  const wrong = new ApiFailure("password_wrong", "no");

  it("is asked for until it is right, then remembered", async () => {
    const viewer = new Viewer(required, wrong, answer("a"));
    await vi.advanceTimersByTimeAsync(0);
    expect(viewer.wanted).toEqual([{ why: "required", waitMs: 0 }]);
    await viewer.types("guess");
    expect(viewer.wanted.at(-1)).toEqual({ why: "wrong", waitMs: 0 });
    await viewer.types("sesame");
    expect(viewer.asked).toEqual([{}, { password: "guess" }, { password: "sesame" }]);
    expect(viewer.password).toBe("sesame");
    await viewer.connected();
    expect(viewer.heard).toEqual(["watching"]);
  });

  it("that is remembered is not asked for, and forgotten when it is wrong", async () => {
    Viewer.remembered = "from before";
    const known = new Viewer(answer("a"));
    await known.connected();
    expect([known.asked, known.wanted]).toEqual([[{ password: "from before" }], []]);
    const changed = new Viewer(wrong, answer("a"));
    await vi.advanceTimersByTimeAsync(0);
    expect([changed.wanted, changed.password]).toEqual([[{ why: "wrong", waitMs: 0 }], null]);
    await changed.types("sesame");
    expect(changed.password).toBe("sesame");
  });

  it("is not needed to come back with a ticket", async () => {
    const viewer = new Viewer(required, answer("a"), answer("a"));
    await vi.advanceTimersByTimeAsync(0);
    await viewer.types("sesame");
    await viewer.connected();
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(viewer.asked.at(-1)).toEqual({ ticket: "ticket", failed: "a" });
  });

  it("that nobody types any more keeps nothing waiting", async () => {
    const viewer = new Viewer(required);
    await vi.advanceTimersByTimeAsync(0);
    viewer.life.abort();
    await viewer.done;
    expect([viewer.asked.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("tried too often waits for as long as the directory says", async () => {
    const viewer = new Viewer(required, new ApiFailure("too_many_requests", "slow", 42_000), answer("a"));
    await vi.advanceTimersByTimeAsync(0);
    await viewer.types("guess");
    expect(viewer.wanted.at(-1)).toEqual({ why: "too_many", waitMs: 42_000 });
  });
});

describe("a server that asks for patience", () => {
  it("is asked again when it said, not before", async () => {
    const viewer = new Viewer(new ApiFailure("too_many_requests", "slow", 20_000), answer("a"));
    await vi.advanceTimersByTimeAsync(19_900);
    expect([viewer.asked.length, viewer.heard]).toEqual([1, ["busy"]]);
    await vi.advanceTimersByTimeAsync(200);
    expect(viewer.asked.length).toBe(2);
  });

  it("is left in peace by the next relay too", async () => {
    const viewer = new Viewer(answer("a", "b"));
    await viewer.connected();
    viewer.last.say({ type: "error", code: "too_many_requests", message: "slow" });
    await vi.advanceTimersByTimeAsync(9000);
    expect(viewer.transports.length).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(viewer.last.url).toBe("ws://b/ws");
  });
});
