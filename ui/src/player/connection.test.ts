import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { encodeMediaMessage } from "../protocol/media_message";
import type { WatchAnswer } from "../protocol/messages";
import type { Credentials, PasswordWanted } from "./admission";
import { Connection, type ConnectionEvents } from "./connection";
import type { Transport } from "./transport/transport";
import { OPEN_TIME_MS_MAX, SILENCE_MS_MAX } from "./visit";

class FakeTransport implements Transport {
  onopen: (() => void) | null = null;
  onmessage: ((data: string | ArrayBuffer) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: string[] = [];
  closed = false;
  constructor(
    readonly url: string,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.close());
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.();
  }
  say(message: object) {
    this.onmessage?.(JSON.stringify(message));
  }
  media(segment: number, n: number, track = 1) {
    const header = { ...chunk, segment, chunk: n, key: n === 0, track };
    this.onmessage?.(encodeMediaMessage(header, new Uint8Array(3)).buffer);
  }
  initSegment(track = 1) {
    this.onmessage?.(encodeMediaMessage({ ...chunk, kind: "init", key: false, track }, new Uint8Array(9)).buffer);
  }
}

const answer = (...relays: string[]): WatchAnswer => ({
  stream: { id: "s", title: "t", created_at_ms: 0, state: "live", viewers: 0, sealed: false },
  assignment: { relays: relays.map((name) => ({ name, url: `ws://${name}/ws` })), ticket: "ticket", epoch: 1 },
});
const withTicket = (ticket: string, ...relays: string[]): WatchAnswer => {
  const given = answer(...relays);
  return { ...given, assignment: { ...given.assignment, ticket } };
};
const chunk = { kind: "chunk", key: true, sealed: false, track: 1, segment: 7, chunk: 0, capturedAtUs: 5 } as const;
const track = { track: 1, kind: "video", codec: "avc1.4D401F", width: 2, height: 2 };
const watching = { type: "watching", stream: "s", tracks: [track], selected: [1] };

/** The password that a viewer knows from before. */
let remembered: string | null = null;

class Viewer {
  transports: FakeTransport[] = [];
  heard: string[] = [];
  asked: Credentials[] = [];
  wanted: PasswordWanted[] = [];
  password = remembered;
  answers: (WatchAnswer | ApiFailure)[] = [];
  life = new AbortController();
  done: Promise<void>;
  #give: (password: string) => void = () => {};

  constructor(...answers: (WatchAnswer | ApiFailure)[]) {
    this.answers = answers;
    const hear = (word: string) => void this.heard.push(word);
    const events: ConnectionEvents = {
      answered: () => {},
      watching: () => hear("watching"),
      media: ({ header, payload }) => hear(`media ${header.track}/${header.segment}/${header.chunk} ${payload.length}`),
      skipped: (_track, chunks) => hear(`skipped ${chunks}`),
      viewers: (count) => hear(`viewers ${count}`),
      broadcaster: (present) => hear(`broadcaster ${present}`),
      lost: (attempt, busy) => hear(busy ? "busy" : `lost ${attempt}`),
      ended: () => hear("ended"),
      failed: (code) => hear(`failed ${code}`),
    };
    this.done = new Connection({
      streamId: "s",
      api: {
        watch: async (_id, credentials) => {
          const next = this.answers[Math.min(this.asked.length, this.answers.length - 1)];
          this.asked.push(credentials);
          if (!next || next instanceof ApiFailure) throw next;
          return next;
        },
      },
      passwords: {
        recall: () => this.password,
        remember: (password) => {
          this.password = password;
        },
        forget: () => {
          this.password = null;
        },
        ask: (wanted) => {
          this.wanted.push(wanted);
          return new Promise((resolve) => {
            this.#give = resolve;
          });
        },
      },
      openTransport: (url, signal) => {
        const transport = new FakeTransport(url, signal);
        this.transports.push(transport);
        return transport;
      },
      events,
      signal: this.life.signal,
      random: () => 0.5,
    }).run();
  }
  async types(password: string) {
    this.#give(password);
    await vi.advanceTimersByTimeAsync(0);
  }
  /** Time passes in which the relay keeps the pace of relays. */
  async keepsPace(ms: number) {
    for (let at = 0; at < ms; at += 250) {
      await vi.advanceTimersByTimeAsync(250);
      this.last.media(1, at / 250);
    }
  }
  /** Time passes in which the relay shows that it lives, and sends media if there are any. */
  async passes(seconds: number, media = true) {
    for (let second = 0; second < seconds; second += 1) {
      await vi.advanceTimersByTimeAsync(1000);
      if (this.last.closed) continue;
      this.last.say({ type: "viewers", count: 1 });
      if (media) this.last.onmessage?.(encodeMediaMessage(chunk, new Uint8Array(3)).buffer);
    }
  }
  get said(): { type: string; ticket?: string }[] {
    return this.last.sent.map((text) => JSON.parse(text));
  }
  get last(): FakeTransport {
    return this.transports.at(-1) as FakeTransport;
  }
  async connected() {
    await vi.advanceTimersByTimeAsync(0);
    this.last.onopen?.();
    this.last.say(watching);
  }
}

beforeEach(() => {
  remembered = null;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"] });
});
afterEach(() => vi.useRealTimers());

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
  it("a stream that is not known has failed at first, and ended once it was known", async () => {
    const unknown = new Viewer(new ApiFailure("stream_not_found", "no"));
    await unknown.done;
    expect(unknown.heard).toEqual(["failed stream_not_found"]);

    const known = new Viewer(answer("a"), new ApiFailure("stream_not_found", "over"));
    await known.connected();
    known.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await known.done;
    expect(known.heard.at(-1)).toBe("ended");
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
    const openTransport = (url: string, signal: AbortSignal) => new FakeTransport(url, signal);
    const passwords = { recall: () => null, remember: nothing, forget: nothing, ask: async () => "" };
    const options = { streamId: "s", api: { watch }, passwords, openTransport, events, signal: life.signal };
    void new Connection(options).run();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked).toBeGreaterThan(1);
    life.abort();
  });
});

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

  it("has nothing more when the directory knows of no such stream", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("stream_not_found", "over"));
    await viewer.connected();
    await viewer.passes(7, false);
    expect(viewer.heard.at(-1)).toBe("ended");
  });

  it("a stream that plays goes on although the directory has forgotten it", async () => {
    const viewer = new Viewer(answer("a"), new ApiFailure("stream_not_found", "who?"));
    await viewer.connected();
    await viewer.passes(400);
    expect([viewer.heard.includes("ended"), viewer.transports.length]).toEqual([false, 1]);
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
    remembered = "from before";
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
