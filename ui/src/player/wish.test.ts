import { describe, expect, it, vi } from "vitest";
import { answer, type FakeTransport, holdClocks, track, Viewer, watching } from "./fixtures/viewer";

holdClocks();

const sound = { ...track, track: 2, kind: "sound", codec: "opus" };
const small = { ...track, track: 3 };
const both = (selected: number[], tracks: object[] = [track, sound, small]) => ({ ...watching, tracks, selected });
const asks = (transport: FakeTransport) =>
  transport.sent.map((text) => JSON.parse(text)).flatMap((said) => (said.type === "select_track" ? [said.track] : []));

/** A viewer at a relay that sends the full picture first. */
async function arrived(wanted: number | null, ...relays: string[]) {
  const viewer = new Viewer(answer(...relays));
  viewer.picture = wanted;
  await vi.advanceTimersByTimeAsync(0);
  viewer.last.onopen?.();
  viewer.last.say(both([1, 2]));
  return viewer;
}

describe("a picture that is wanted", () => {
  it("is asked for with the relay's first word, and no other is", async () => {
    expect(asks((await arrived(3, "a")).last)).toEqual([3]);
    expect(asks((await arrived(1, "a")).last)).toEqual([]);
    expect(asks((await arrived(null, "a")).last)).toEqual([]);
  });

  it("goes on over the same connection when it comes", async () => {
    const viewer = await arrived(3, "a");
    viewer.last.media(4, 0);
    viewer.last.say(both([3, 2]));
    viewer.last.media(5, 0, 3);
    expect(viewer.heard).toEqual(["watching", "media 1/4/0 3", "switched", "media 3/5/0 3"]);
    expect(asks(viewer.last)).toEqual([3]);
  });

  it("may change while the relay has not come to it yet", async () => {
    const viewer = await arrived(3, "a");
    viewer.picture = 1;
    viewer.connection.select();
    viewer.connection.select();
    expect(asks(viewer.last)).toEqual([3, 1]);
  });

  it("is asked for at the next relay too", async () => {
    const viewer = await arrived(3, "a", "b");
    viewer.last.close();
    await vi.advanceTimersByTimeAsync(10);
    viewer.last.onopen?.();
    viewer.last.say(both([1, 2]));
    // With the hello, as it is known what there was, and again when the relay begins with another all the same.
    expect([viewer.last.url, asks(viewer.last)]).toEqual(["ws://b/ws", [3, 3]]);
  });

  it("is asked for again when the broadcaster is back and the relay begins anew", async () => {
    const viewer = await arrived(3, "a");
    viewer.last.say(both([3, 2]));
    viewer.last.say({ ...both([1, 2]), epoch: 2 });
    expect([asks(viewer.last), viewer.heard]).toEqual([
      [3, 3],
      ["watching", "switched", "watching"],
    ]);
  });

  it("is sent from the first frame on by a relay that is asked over a new connection", async () => {
    const viewer = await arrived(3, "a");
    viewer.connection.beginAnew();
    expect(viewer.transports.map(({ url, closed }) => [url, closed])).toEqual([
      ["ws://a/ws", true],
      ["ws://a/ws", false],
    ]);
    viewer.last.onopen?.();
    viewer.last.say(both([3, 2]));
    viewer.last.media(5, 0, 3);
    expect([asks(viewer.last), viewer.heard]).toEqual([[3], ["watching", "watching", "media 3/5/0 3"]]);
    viewer.connection.beginAnew();
    viewer.connection.beginAnew();
    expect(viewer.transports.length).toBe(3);
  });

  it("of a broadcaster that is back without it is not asked for, and the relay is not to blame when it was", async () => {
    const viewer = await arrived(3, "a", "b");
    viewer.last.say(both([1, 2], [track, sound]));
    expect(asks(viewer.last)).toEqual([3]);
    viewer.last.say({ type: "error", code: "unknown_track", message: "which?" });
    await vi.advanceTimersByTimeAsync(1000);
    expect([viewer.asked, viewer.last.url]).toEqual([[{}, { ticket: "ticket" }], "ws://a/ws"]);
  });
});

describe("a small picture that moves", () => {
  /** Told to move while it gets the small picture; the new relay begins with the full one. */
  async function moving() {
    const viewer = await arrived(3, "a", "b");
    viewer.last.say(both([3, 2]));
    for (let n = 0; n < 3; n += 1) viewer.last.media(4, n, 3);
    viewer.last.media(4, 0, 2);
    viewer.last.say({ type: "move", relays: [{ name: "b", url: "ws://b/ws" }], within_ms: 3000 });
    await vi.advanceTimersByTimeAsync(0);
    const [old, fresh] = viewer.transports as [FakeTransport, FakeTransport];
    fresh.onopen?.();
    fresh.say(both([1, 2]));
    viewer.heard = [];
    return { viewer, old, fresh };
  }

  it("stays small: the old relay shows it until the new one sends it", async () => {
    const { viewer, old, fresh } = await moving();
    expect(asks(fresh)).toEqual([3, 3]);
    fresh.media(4, 0, 1);
    fresh.media(4, 1, 1);
    fresh.media(4, 0, 2);
    fresh.media(4, 1, 2);
    old.media(4, 3, 3);
    await vi.advanceTimersByTimeAsync(1500);
    expect(old.closed).toBe(false);
    old.media(4, 4, 3);
    fresh.say(both([3, 2]));
    fresh.media(5, 0, 3);
    expect(old.closed).toBe(false);
    old.media(5, 0, 3);
    expect(old.closed).toBe(true);
    fresh.media(5, 1, 3);
    expect(viewer.heard.filter((word) => !word.includes(" 2/"))).toEqual(
      ["4/3", "4/4", "5/0", "5/1"].map((place) => `media 3/${place} 3`),
    );
  });

  it("takes the full one when the old relay leaves before that", async () => {
    const { viewer, old, fresh } = await moving();
    fresh.media(5, 0, 1);
    old.close();
    expect(viewer.heard).toEqual(["lost 1", "watching"]);
    fresh.media(6, 0, 1);
    fresh.say(both([3, 2]));
    fresh.media(7, 0, 3);
    expect(viewer.heard.slice(2)).toEqual(["media 1/6/0 3", "switched", "media 3/7/0 3"]);
  });
});
