import { expect, it } from "vitest";
import { overtakes, SendGate, urgencyOf } from "./send_gate";

const VIDEO_KEY = { track: 1, key: true };
const VIDEO = { track: 1, key: false };
const SOUND_KEY = { track: 2, key: true };
const SOUND = { track: 2, key: false };
/** Milliseconds behind that are too many. */
const BOUND = 1500;

function open(): SendGate {
  const gate = new SendGate();
  expect(gate.admit(VIDEO_KEY, 0)).toBe(true);
  expect(gate.admit(SOUND_KEY, 0)).toBe(true);
  return gate;
}

it("sends everything while the connection keeps up", () => {
  const gate = open();
  expect([VIDEO, SOUND, VIDEO].map((offer) => gate.admit(offer, BOUND))).toEqual([true, true, true]);
  expect(gate.dropped(1)).toBe(0);
});

it("begins each track of a connection with a key chunk", () => {
  const gate = open();
  gate.reconnected();
  expect([VIDEO, SOUND, VIDEO_KEY, VIDEO, SOUND].map((offer) => gate.admit(offer, 0))).toEqual([
    false,
    false,
    true,
    true,
    false,
  ]);
});

it("leaves out the rest of the segment when the connection is behind, and says how much", () => {
  const gate = open();
  expect(gate.admit(VIDEO, BOUND + 1)).toBe(false);
  // Behind is behind until it has caught up, even when there is room for one chunk.
  expect([VIDEO, SOUND, VIDEO].map((offer) => gate.admit(offer, BOUND - 1))).toEqual([false, false, false]);
  expect([gate.dropped(1), gate.dropped(2), gate.timesBehind, gate.behind]).toEqual([3, 1, 1, true]);
});

it("does not pile a key frame onto a full connection", () => {
  const gate = open();
  gate.admit(VIDEO, BOUND + 1);
  expect(gate.admit(VIDEO_KEY, BOUND + 1)).toBe(false);
  expect(gate.admit(VIDEO_KEY, BOUND / 2)).toBe(false);
});

it("asks for one key frame when it has caught up, and goes on from there", () => {
  const gate = open();
  gate.admit(VIDEO, BOUND + 1);
  expect(gate.caughtUp(BOUND / 2)).toBe(false);
  expect(gate.caughtUp(BOUND / 5)).toBe(true);
  expect(gate.caughtUp(0)).toBe(false);
  expect([VIDEO, VIDEO_KEY, VIDEO, SOUND, SOUND_KEY, SOUND].map((offer) => gate.admit(offer, 0))).toEqual([
    false,
    true,
    true,
    false,
    true,
    true,
  ]);
});

it("leaves out what a smaller picture stands in for first, and goes on with the smaller one", () => {
  const gate = open();
  const spare = { ...VIDEO, spare: true };
  const small = { track: 3, key: true };
  expect(gate.admit(small, 0)).toBe(true);
  expect([spare, SOUND, { ...small, key: false }].map((offer) => gate.admit(offer, 1200))).toEqual([false, true, true]);
  expect([gate.behind, gate.timesBehind]).toEqual([true, 1]);
  expect([{ ...spare, key: true }, small].map((offer) => gate.admit(offer, 900))).toEqual([false, true]);
  expect([SOUND, small].map((offer) => gate.admit(offer, BOUND + 1))).toEqual([false, false]);
  expect(gate.timesBehind).toBe(1);
  expect(gate.caughtUp(0)).toBe(true);
  expect([spare, { ...spare, key: true }, spare].map((offer) => gate.admit(offer, 0))).toEqual([false, true, true]);
});

it("begins a track again with a key frame where it was told to, and leaves the others alone", () => {
  const gate = open();
  gate.begin(1);
  expect([VIDEO, SOUND, VIDEO_KEY, VIDEO].map((offer) => gate.admit(offer, 0))).toEqual([false, true, true, true]);
});

it("lets a key frame overtake a segment that is behind, but nothing overtake sound", () => {
  expect([100, 500, 701, 2000].map((delayMs) => overtakes(VIDEO_KEY, delayMs))).toEqual([false, false, true, true]);
  expect(overtakes(VIDEO, 2000)).toBe(false);
  expect(overtakes({ ...SOUND_KEY, sound: true }, 2000)).toBe(false);
});

it("sends sound before pictures, and last what a smaller one stands in for", () => {
  const order = [{ ...VIDEO, spare: true }, VIDEO, { ...SOUND, sound: true }];
  expect(order.map(urgencyOf)).toEqual([0, 1, 2]);
});
