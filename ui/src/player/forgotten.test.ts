import { describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { answer, holdClocks, Viewer } from "./fixtures/viewer";
import { FORGOTTEN_MS_MAX, Forgotten } from "./forgotten";

holdClocks();

const unknown = new ApiFailure("stream_not_found", "who?");

it("a stream has ended when the directory did not know it for long enough, without a word of it in between", () => {
  const forgotten = new Forgotten();
  expect([forgotten.unknown(1000), forgotten.unknown(1000 + FORGOTTEN_MS_MAX - 1)]).toEqual([false, false]);
  forgotten.heardOf();
  expect(forgotten.unknown(60_000)).toBe(false);
  expect(forgotten.unknown(60_000 + FORGOTTEN_MS_MAX)).toBe(true);
});

describe("a directory that starts again with an empty disk", () => {
  it("ends nothing that plays, and is asked again", async () => {
    const viewer = new Viewer(answer("a"), unknown, unknown, unknown, answer("a"));
    await viewer.connected();
    await viewer.passes(330);
    expect([viewer.heard.includes("ended"), viewer.transports.length, viewer.asked.length]).toEqual([false, 1, 5]);
    expect(viewer.said.at(-1)?.type).toBe("renew_ticket");
  });

  it("does not keep a viewer whose relay dies just then from the relays that it knows", async () => {
    const viewer = new Viewer(answer("a", "b"), unknown);
    await viewer.connected();
    await viewer.keepsPace(4000);
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(10);
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(1500);
    expect([viewer.asked.length, viewer.heard.includes("ended")]).toEqual([2, false]);
    await viewer.connected();
    viewer.last.media(9, 0);
    expect(viewer.heard.slice(-2)).toEqual(["watching", "media 1/9/0 3"]);
  });

  it("does not end a stream whose broadcaster has still to find its way back", async () => {
    const viewer = new Viewer(answer("a"), unknown, unknown, unknown, answer("b"));
    await viewer.connected();
    await viewer.passes(2);
    viewer.last.say({ type: "broadcaster", present: false });
    await viewer.passes(8, false);
    expect(viewer.heard).not.toContain("ended");
    expect(viewer.last.url).toBe("ws://b/ws");
  });

  it("is believed when nothing plays and it still knows nothing of the stream", async () => {
    const viewer = new Viewer(answer("a"), unknown);
    await viewer.connected();
    viewer.last.close();
    for (let second = 0; second < 20; second += 1) {
      await vi.advanceTimersByTimeAsync(1000);
      viewer.last.close();
    }
    await viewer.done;
    expect(viewer.heard.at(-1)).toBe("ended");
  });
});
