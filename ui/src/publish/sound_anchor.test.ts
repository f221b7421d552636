import { describe, expect, it } from "vitest";
import { PACKET_MS, SoundAnchor } from "./sound_anchor";

/** Packets that come at these times; answers where each was put, and how much silence went in. */
function run(times: number[], anchor = new SoundAnchor()): { ends: number[]; silent: number; left: number } {
  let silent = 0;
  let left = 0;
  const ends = times.map((at) => {
    const decision = anchor.packet(at);
    silent += decision.silentPackets;
    for (let packet = 0; packet < decision.silentPackets; packet += 1) anchor.sent();
    if (decision.keep) anchor.sent();
    else left += 1;
    return anchor.endMs;
  });
  return { ends, silent, left };
}

const steady = (count: number, from: number) => Array.from({ length: count }, (_, i) => from + i * PACKET_MS);

describe("anchor", () => {
  it("begins where the first packet was captured", () => {
    expect(run([1000, 1020]).ends).toEqual([1000, 1020]);
  });

  it("leaves steady sound alone", () => {
    const { ends, silent, left } = run(steady(500, 300));
    expect([ends.at(-1), silent, left]).toEqual([300 + 499 * PACKET_MS, 0, 0]);
  });

  it("ignores deliveries that come late but lose nothing", () => {
    // Every second half second arrives in one burst.
    const times = steady(500, 300).map((at) => Math.ceil(at / 500) * 500);
    expect(run(times).silent).toBe(0);
  });

  it("moves sound that has fallen behind forward with silence", () => {
    const anchor = new SoundAnchor();
    run(steady(100, 100), anchor);
    // 400 ms of sound were never captured.
    const { ends, silent } = run(steady(120, 100 + 100 * PACKET_MS + 400), anchor);
    expect(silent).toBe(20);
    const now = 100 + 100 * PACKET_MS + 400 + 119 * PACKET_MS;
    expect(Math.abs((ends.at(-1) ?? 0) - now)).toBeLessThanOrEqual(PACKET_MS);
  });

  it("takes back a start that was late because the encoder was", () => {
    const anchor = new SoundAnchor();
    // The first five packets come together.
    const { ends, left } = run([200, 200, 200, 200, 200, ...steady(100, 220)], anchor);
    expect(left).toBe(4);
    expect(ends.at(-1)).toBe(220 + 99 * PACKET_MS);
  });

  it("thins out sound that runs ahead of the pictures", () => {
    // The sound card's clock is 2 % fast.
    const times = Array.from({ length: 1000 }, (_, i) => 100 + i * PACKET_MS * 0.98);
    const { ends, left } = run(times);
    expect(left).toBeGreaterThan(0);
    expect((ends.at(-1) ?? 0) - (times.at(-1) ?? 0)).toBeLessThan(120);
  });
});

describe("quiet source", () => {
  it("is filled with silence up to a little behind the clock", () => {
    const anchor = new SoundAnchor();
    run(steady(10, 100), anchor);
    expect(anchor.quiet(300)).toBe(0);
    const packets = anchor.quiet(1000);
    for (let packet = 0; packet < packets; packet += 1) anchor.sent();
    expect(anchor.endMs).toBeLessThanOrEqual(940);
    expect(anchor.endMs).toBeGreaterThan(900);
  });

  it("is not filled for the time that the machine slept", () => {
    const anchor = new SoundAnchor();
    run(steady(10, 100), anchor);
    expect(anchor.quiet(3_600_000)).toBe(1);
    anchor.sent();
    expect(anchor.endMs).toBe(3_600_000 - 60);
    // The packet may be there before anybody has looked.
    expect(anchor.packet(7_200_000)).toEqual({ silentPackets: 0, keep: true });
    expect(anchor.endMs).toBe(7_200_000 - PACKET_MS);
  });

  it("has a timeline even when it never gives a packet", () => {
    const anchor = new SoundAnchor();
    expect(anchor.quiet(100)).toBe(0);
    expect(anchor.quiet(500)).toBe(9);
  });
});
