import { beforeEach, describe, expect, it } from "vitest";
import type { MediaOut, OutgoingChunk, Transport } from "../transport/transport";
import { Line } from "./line";
import type { Offer } from "./send_gate";

const KEY: Offer = { track: 1, key: true };
const DELTA: Offer = { track: 1, key: false };
const SOUND: Offer = { track: 2, key: false, sound: true };
const SOUND_KEY: Offer = { track: 2, key: true, sound: true };
const BYTES = Uint8Array.of(1);

/** A connection on which segments can be given up. */
class Relay implements Transport, MediaOut {
  readonly kind = "webtransport";
  onopen: Transport["onopen"] = null;
  onmessage: Transport["onmessage"] = null;
  onclose: Transport["onclose"] = null;
  readonly givesUp = true;
  onlost: MediaOut["onlost"] = null;
  mediaOut = this;
  unsentBytes = 0;
  sent: string[] = [];
  #open = new Set<number>();
  send(chunk: string): void;
  send(chunk: OutgoingChunk): boolean;
  send(chunk: string | OutgoingChunk): boolean {
    if (typeof chunk === "string") return false;
    if (chunk.key) this.#open.add(chunk.track);
    if (!this.#open.has(chunk.track)) return false;
    this.sent.push(`${chunk.track}${chunk.key ? " key" : ""}`);
    return true;
  }
  giveUp(track: number) {
    if (this.#open.delete(track)) this.sent.push(`${track} given up`);
  }
  close() {}
  loses(track: number) {
    this.#open.delete(track);
    this.onlost?.(track);
  }
}

let nowMs: number;
let relay: Relay;
let line: Line;
const send = (...offers: Offer[]) => {
  for (const offer of offers) line.send(offer, BYTES, BYTES);
};
const confirms = (chunks: number) => relay.onmessage?.(JSON.stringify({ type: "received", chunks, bytes: chunks }));

beforeEach(() => {
  nowMs = 0;
  relay = new Relay();
  line = new Line({
    relay: { name: "a", url: "ws://a/ws" },
    ticket: "t",
    openTransport: () => relay,
    tracks: () => [],
    now: () => nowMs,
    onMessage: () => {},
    onClosed: () => {},
  });
  relay.onopen?.();
  relay.onmessage?.(JSON.stringify({ type: "stream_registered", stream: "s", relay: "a" }));
});

describe("where segments can be given up", () => {
  it("a key frame does not wait for a segment that is behind", () => {
    send(KEY, DELTA);
    nowMs = 800;
    send(KEY, DELTA);
    expect(relay.sent).toEqual(["1 key", "1", "1 given up", "1 key", "1"]);
    expect(line.ageMs).toBe(0);
  });

  it("one that keeps up is left to arrive", () => {
    send(KEY, DELTA);
    nowMs = 400;
    send(KEY);
    expect(relay.sent).toEqual(["1 key", "1", "1 key"]);
    expect(line.ageMs).toBe(400);
  });

  it("one that is far behind is given up at once, and a key frame wanted, which waits for nothing", () => {
    send(KEY, DELTA);
    nowMs = 1600;
    send(DELTA, DELTA);
    expect(relay.sent).toEqual(["1 key", "1", "1 given up"]);
    expect([line.caughtUp(), line.caughtUp()]).toEqual([true, false]);
    send(DELTA, KEY, DELTA);
    expect(relay.sent.slice(3)).toEqual(["1 key", "1"]);
    expect(line.gate.dropped(1)).toBe(3);
  });

  it("sound that the relay has left out without a word holds nothing up for good", () => {
    send(KEY, SOUND_KEY, SOUND);
    confirms(1);
    nowMs = 1600;
    send(SOUND, DELTA);
    expect(line.caughtUp()).toBe(true);
    send(KEY, SOUND_KEY);
    expect(relay.sent.slice(-2)).toEqual(["1 key", "2 key"]);
  });

  it("sound is not", () => {
    send(KEY, SOUND_KEY, SOUND);
    nowMs = 800;
    send(KEY, SOUND_KEY);
    nowMs = 2000;
    send(SOUND);
    expect(relay.sent).not.toContain("2 given up");
  });
});

it("what is on its way is left to arrive when the track begins anew", () => {
  send(KEY);
  line.newInit(1);
  send(DELTA, KEY);
  expect(relay.sent).toEqual(["1 key", "1 key"]);
});

it("a segment that the relay does not want is not waited for, nor gone on with", () => {
  send(KEY, SOUND_KEY);
  nowMs = 100;
  relay.loses(1);
  send(DELTA, SOUND, KEY, DELTA);
  expect(relay.sent).toEqual(["1 key", "2 key", "2", "1 key", "1"]);
  confirms(4);
  expect(line.ageMs).toBeNull();
});
