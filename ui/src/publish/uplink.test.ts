import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Assignment } from "../protocol/generated/Assignment";
import type { RelayAddress } from "../protocol/generated/RelayAddress";
import type { ToBroadcaster } from "../protocol/generated/ToBroadcaster";
import { SocketMedia } from "../transport/socket_media";
import type { MediaOut, Transport } from "../transport/transport";
import { MOVE_OVERLAP_MS_MAX, Uplink } from "./uplink";
import type { Look } from "./uplink_rate";

const OPEN = 1;

/** A relay as the uplink sees it. */
class Socket implements Transport {
  readonly kind = "websocket";
  readyState = 0;
  bufferedAmount = 0;
  sent: (string | Uint8Array)[] = [];
  onopen: (() => void) | null = null;
  onmessage: Transport["onmessage"] = null;
  onclose: (() => void) | null = null;
  mediaOut: MediaOut | null = null;
  readonly url: string;

  constructor({ url }: RelayAddress, signal: AbortSignal) {
    this.url = url;
    signal.addEventListener("abort", () => this.close());
  }

  send(data: string | Uint8Array) {
    this.sent.push(data);
  }
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.mediaOut = null;
    this.onclose?.();
  }
  open() {
    this.readyState = OPEN;
    this.mediaOut = new SocketMedia(
      (message) => this.sent.push(message),
      () => this.bufferedAmount,
    );
    this.onopen?.();
  }
  say(message: ToBroadcaster) {
    this.onmessage?.(JSON.stringify(message));
  }
  takeOver() {
    this.open();
    this.say({ type: "stream_registered", stream: "s", relay: this.url });
  }
  get said(): { type: string; ticket?: string }[] {
    return this.sent.flatMap((data) => (typeof data === "string" ? [JSON.parse(data)] : []));
  }
  get media(): number[] {
    return this.sent.flatMap((data) => (typeof data === "string" ? [] : [data[0] ?? -1]));
  }
}

const assignment = (...names: string[]): Assignment => ({
  relays: names.map((name) => ({ name, url: name })),
  ticket: "t",
  epoch: 1,
});
const fromEpoch = (epoch: number, ticket: string, ...names: string[]): Assignment => ({
  ...assignment(...names),
  ticket,
  epoch,
});
const bytes = (value: number) => Uint8Array.of(value);
const KEY = { track: 1, key: true };
const DELTA = { track: 1, key: false };
const INIT = 100;

let sockets: Socket[];
let keyFramesWanted: number;
let ends: string[];
let asked: (string | null)[];
let restored: string[];
let looks: Look[];
let connections: number;

function uplink(): Uplink {
  const made = new Uplink({
    assignment: assignment("a", "b"),
    reassign: async (failed) => {
      asked.push(failed);
      return assignment("c");
    },
    restore: async (record) => {
      restored.push(record);
      return assignment("r");
    },
    openTransport: (relay, signal) => {
      const socket = new Socket(relay, signal);
      sockets.push(socket);
      return socket;
    },
    tracks: () => [],
    now: () => Date.now(),
    rate: {
      connected: () => {
        connections += 1;
      },
      look: (look) => looks.push(look),
    },
    onKeyFrameWanted: () => {
      keyFramesWanted += 1;
    },
    onChange: () => {},
    onEnd: (reason) => ends.push(reason),
  });
  made.sendInit(1, bytes(INIT));
  return made;
}
const newest = () => sockets.at(-1) as Socket;
/** Time passes, and the page looks at its connections. */
const ticks = async (up: Uplink, ms: number) => {
  for (let at = 0; at < ms; at += 100) {
    await pass(100);
    up.tick();
  }
};
/** A relay that has taken everything so far, and shown its pace. */
const live = async (up: Uplink) => {
  await pass(0);
  newest().takeOver();
  up.sendChunk(KEY, bytes(1));
  for (let chunks = 1; chunks <= 8; chunks += 1) {
    await pass(250);
    newest().say({ type: "received", chunks, bytes: chunks });
  }
};
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  sockets = [];
  ends = [];
  asked = [];
  restored = [];
  looks = [];
  connections = 0;
  keyFramesWanted = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("uplink", () => {
  it("says hello, waits for the relay, and begins with init and key frame", async () => {
    const up = uplink();
    await pass(0);
    newest().open();
    expect(JSON.parse(String(newest().sent[0]))).toMatchObject({
      type: "register_new_stream",
      protocol: 1,
      ticket: "t",
    });
    up.sendChunk(KEY, bytes(1));
    expect(newest().media).toEqual([]);
    newest().say({ type: "stream_registered", stream: "s", relay: "a" });
    expect(keyFramesWanted).toBe(1);
    up.sendChunk(DELTA, bytes(2));
    up.sendChunk(KEY, bytes(3));
    up.sendChunk(DELTA, bytes(4));
    expect(newest().media).toEqual([INIT, 3, 4]);
  });

  it("sends a new init segment before the next chunk", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    up.sendInit(1, bytes(INIT + 1));
    up.sendChunk(KEY, bytes(2));
    expect(newest().media).toEqual([INIT, 1, INIT + 1, 2]);
  });

  it("goes to the next relay at once, with a key frame, when the connection breaks", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    newest().say({ type: "received", chunks: 1, bytes: 1 });
    newest().close();
    await pass(0);
    expect([sockets.map((socket) => socket.url), asked]).toEqual([["a", "b"], []]);
    newest().takeOver();
    expect(keyFramesWanted).toBe(2);
    up.sendChunk(DELTA, bytes(2));
    up.sendChunk(KEY, bytes(3));
    expect(newest().media).toEqual([INIT, 3]);
  });

  it("tries another relay when one takes the stream but never any media", async () => {
    uplink();
    await pass(0);
    newest().takeOver();
    newest().close();
    await pass(400);
    expect(sockets.map((socket) => socket.url)).toEqual(["a", "b"]);
  });

  it("asks the directory when none of its relays answers", async () => {
    uplink();
    await pass(0);
    newest().close();
    await pass(400);
    newest().close();
    await pass(1500);
    expect([asked, sockets.map((socket) => socket.url)]).toEqual([["a"], ["a", "b", "c"]]);
  });

  it("gives up on a relay that accepts but never answers", async () => {
    const up = uplink();
    await pass(0);
    newest().open();
    await ticks(up, 2000);
    expect(sockets.map((socket) => [socket.url, socket.readyState])).toEqual([
      ["a", OPEN],
      ["b", 0],
    ]);
    await ticks(up, 4200);
    expect(sockets[0]?.readyState).toBe(3);
  });

  it("tells the relay a renewed ticket over the open socket", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.ordered(fromEpoch(1, "renewed", "a", "b"));
    up.ordered(fromEpoch(1, "renewed", "a", "b"));
    expect(newest().said.slice(1)).toEqual([{ type: "renew_ticket", ticket: "renewed" }]);
    expect(sockets.length).toBe(1);
  });

  it("comes back with the renewed ticket, and tells one that came while it connected", async () => {
    const up = uplink();
    await pass(0);
    newest().open();
    up.ordered(fromEpoch(1, "second", "a", "b"));
    newest().say({ type: "stream_registered", stream: "s", relay: "a" });
    expect(newest().said.at(-1)).toEqual({ type: "renew_ticket", ticket: "second" });
    newest().say({ type: "received", chunks: 1, bytes: 1 });
    newest().close();
    await pass(400);
    newest().open();
    expect(newest().said[0]?.ticket).toBe("second");
  });

  it("arrives elsewhere before it leaves, sends both everything, and tells the old relay", async () => {
    const up = uplink();
    await live(up);
    up.ordered(fromEpoch(2, "two", "d"));
    await pass(0);
    const [old, fresh] = sockets as [Socket, Socket];
    up.sendChunk(DELTA, bytes(2));
    expect([fresh.url, old.media.at(-1), up.live.state, up.relay]).toEqual(["d", 2, "live", "a"]);
    fresh.takeOver();
    expect([fresh.said[0]?.ticket, keyFramesWanted]).toEqual(["two", 2]);
    expect(old.said.at(-1)).toEqual({ type: "moving", relays: [{ name: "d", url: "d" }] });
    up.sendChunk(DELTA, bytes(3));
    up.sendChunk(KEY, bytes(4));
    up.sendChunk(DELTA, bytes(5));
    expect([old.media.slice(-3), fresh.media]).toEqual([
      [3, 4, 5],
      [INIT, 4, 5],
    ]);
    fresh.say({ type: "received", chunks: 2, bytes: 2 });
    expect(up.relay).toBe("d");
    await pass(MOVE_OVERLAP_MS_MAX - 1);
    expect(old.readyState).toBe(OPEN);
    await pass(1);
    expect([old.readyState, fresh.readyState, up.live.state]).toEqual([3, OPEN, "live"]);
    expect(old.said.some(({ type }) => type === "end_stream")).toBe(false);
    up.ordered(fromEpoch(1, "late", "a"));
    await pass(100);
    expect([sockets.length, fresh.said.length]).toEqual([2, 1]);
  });

  it("goes on elsewhere when the old relay closes early, and stays while the new one does not answer", async () => {
    const up = uplink();
    await live(up);
    up.ordered(fromEpoch(2, "two", "d", "e"));
    await pass(0);
    newest().close();
    await pass(0);
    expect([newest().url, sockets[0]?.readyState, up.live.state]).toEqual(["e", OPEN, "live"]);
    newest().takeOver();
    sockets[0]?.close();
    up.sendChunk(KEY, bytes(4));
    expect([newest().media, up.live.state]).toEqual([[INIT, 4], "live"]);
    await pass(5000);
    expect([sockets.length, newest().readyState]).toEqual([3, OPEN]);
  });

  it("opens the next relay beside one that has fallen silent, and stays where media arrives first", async () => {
    const up = uplink();
    await live(up);
    await ticks(up, 1200);
    expect(sockets.map((socket) => [socket.url, socket.readyState])).toEqual([
      ["a", OPEN],
      ["b", 0],
    ]);
    newest().takeOver();
    up.sendChunk(KEY, bytes(4));
    expect([sockets[0]?.media.at(-1), newest().media]).toEqual([4, [INIT, 4]]);
    newest().say({ type: "received", chunks: 1, bytes: 1 });
    expect([sockets[0]?.readyState, up.relay, up.live.state]).toEqual([3, "b", "live"]);
    await ticks(up, 900);
    expect(sockets.length).toBe(2);
  });

  it("stays where it is when the silence was a hiccup", async () => {
    const up = uplink();
    await live(up);
    await ticks(up, 1200);
    newest().takeOver();
    sockets[0]?.say({ type: "received", chunks: 9, bytes: 9 });
    expect([sockets[0]?.readyState, newest().readyState, up.relay]).toEqual([OPEN, 3, "a"]);
  });

  it("brings itself back to a directory that has forgotten it", async () => {
    const up = uplink();
    await live(up);
    expect(await up.restore().catch((error) => error.code)).toBe("stream_not_found");
    up.ordered({ ...fromEpoch(1, "t", "a", "b"), record: "record" });
    await up.restore();
    expect([restored, sockets.length, newest().readyState]).toEqual([["record"], 1, OPEN]);
  });

  it("does not try a relay again that the directory has moved it away from meanwhile", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    newest().say({ type: "received", chunks: 1, bytes: 1 });
    newest().close();
    up.ordered(fromEpoch(2, "two", "d"));
    await pass(400);
    expect(sockets.map((socket) => socket.url)).toEqual(["a", "d"]);
  });

  it("knows who watches, and nobody without a connection", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    newest().say({ type: "audience", viewers: [{ viewer: "00abcdef01234567", since_ms: 5 }] });
    expect(up.audience).toEqual([{ viewer: "00abcdef01234567", since_ms: 5 }]);
    newest().close();
    expect(up.audience).toEqual([]);
  });

  it("leaves chunks out while the relay confirms nothing, and asks for a key frame when it has caught up", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    await pass(1600);
    up.sendChunk(DELTA, bytes(2));
    expect([newest().media, up.behind, up.dropped(1)]).toEqual([[INIT, 1], true, 1]);
    newest().say({ type: "received", chunks: 1, bytes: 1 });
    up.tick();
    expect([keyFramesWanted, up.behind]).toEqual([2, false]);
    up.sendChunk(KEY, bytes(3));
    expect(newest().media).toEqual([INIT, 1, 3]);
  });

  it("looks at its line with each confirmation, right after it was taken in", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    await pass(240);
    up.sendChunk(DELTA, bytes(2));
    await pass(10);
    newest().say({ type: "received", chunks: 1, bytes: 21 });
    expect([connections, looks]).toEqual([1, [{ nowMs: Date.now(), made: 2, acked: 21, ageMs: 10 }]]);
    await pass(250);
    newest().say({ type: "received", chunks: 2, bytes: 42 });
    expect(looks.at(-1)).toEqual({ nowMs: Date.now(), made: 0, acked: 21, ageMs: null });
  });

  it("takes confirmations that come in a bunch for one, and looks by itself while none comes", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    await ticks(up, 600);
    expect(looks.map(({ acked, ageMs }) => [acked, ageMs])).toEqual([
      [0, 300],
      [0, 600],
    ]);
    await pass(250);
    for (const bytes of [1, 2, 3]) newest().say({ type: "received", chunks: 1, bytes });
    expect(looks.map(({ acked }) => acked)).toEqual([0, 0, 1]);
    await pass(250);
    newest().say({ type: "received", chunks: 1, bytes: 4 });
    expect(looks.at(-1)?.acked).toBe(3);
  });

  it("does not take a page that was busy for a slow line", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    await pass(900);
    up.tick();
    expect(looks.map(({ ageMs }) => ageMs)).toEqual([null]);
    await ticks(up, 300);
    expect(looks.map(({ ageMs }) => ageMs)).toEqual([null, 1200]);
  });

  it("judges a new line by itself", async () => {
    const up = uplink();
    await live(up);
    newest().close();
    await pass(0);
    up.sendChunk(KEY, bytes(1));
    newest().takeOver();
    expect(connections).toBe(2);
    await pass(250);
    newest().say({ type: "received", chunks: 0, bytes: 0 });
    expect(looks.at(-1)).toMatchObject({ made: 0, acked: 0, ageMs: null });
  });

  it("waits no longer when the network may be back", async () => {
    const up = uplink();
    await pass(0);
    for (let failures = 0; failures < 12; failures += 1) {
      newest().close();
      await pass(5000);
    }
    // Whether a relay is next or the directory.
    const tries = () => sockets.length + asked.length;
    newest().close();
    await pass(0);
    const before = tries();
    up.hurry();
    await pass(0);
    expect(tries()).toBe(before + 1);
  });

  it("begins a track again with a key frame after a new init segment", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.sendChunk(KEY, bytes(1));
    up.sendInit(1, bytes(INIT + 1));
    up.sendChunk(DELTA, bytes(2));
    up.sendChunk(KEY, bytes(3));
    expect(newest().media).toEqual([INIT, 1, INIT + 1, 3]);
  });

  it("ends when another broadcaster has taken the stream over", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    newest().say({ type: "error", code: "superseded", message: "m" });
    newest().close();
    await pass(10);
    expect(ends).toEqual(["This stream has gone live from somewhere else."]);
    expect(up.live.state).toBe("ended");
  });

  it("tells viewers that the stream is over when it is stopped, and does not come back", async () => {
    const up = uplink();
    await pass(0);
    newest().takeOver();
    up.end();
    expect(JSON.parse(String(newest().sent.at(-1)))).toEqual({ type: "end_stream" });
    await pass(20_000);
    expect([sockets.length, ends]).toEqual([1, []]);
  });
});
