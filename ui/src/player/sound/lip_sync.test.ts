import { describe, expect, it } from "vitest";
import { BEHIND_S_MAX, LipSync } from "./lip_sync";

const AHEAD_S = 0.03;
const TICK_S = 0.1;

interface World {
  seconds: number;
  /** How far behind its capture the picture is shown, in seconds; null: there is none to be seen. */
  picture: (t: number) => number | null;
  /** How long after its capture a packet is there. */
  late: (t: number) => number;
  /** What is heard at first is behind its capture by this much. */
  start?: number;
  /** The output's clock runs this much faster. */
  drift?: number;
}

/** Listens to a stream whose sound is read as the decisions say. */
function listen({ seconds, picture, late, start, drift = 0 }: World) {
  const sync = new LipSync();
  let heard: number | null = start === undefined ? null : -start;
  let pace = 1;
  const cuts: number[] = [];
  const paces: number[] = [];
  /** Later than the picture, and how long before it was due the newest packet had come. */
  const behind: number[] = [];
  const spare: number[] = [];
  for (let t = 0; t < seconds; t += TICK_S) {
    const seen = picture(t);
    const hearing = { now: t, heard, ahead: AHEAD_S, ready: t - late(t), seen: seen === null ? null : t - seen };
    const decision = sync.tick(hearing);
    if (decision.kind === "begin") heard = decision.at;
    if (decision.kind === "cut") {
      cuts.push(t);
      heard = (heard ?? 0) + decision.by;
    }
    if (decision.kind === "pace") {
      pace = decision.pace;
      paces.push(pace);
    }
    if (heard === null) continue;
    if (t > seconds / 2) {
      spare.push(t - late(t) - heard - AHEAD_S);
      if (seen !== null) behind.push(t - seen - heard);
    }
    heard += TICK_S * pace * (1 + drift);
  }
  return { cuts, paces, behind, spare };
}

const steady = (value: number) => () => value;
const most = (values: number[]) => Math.max(...values.map(Math.abs));

describe("sound that comes in time", () => {
  it("is heard with its picture from the beginning, and then left alone", () => {
    const end = listen({ seconds: 20, picture: steady(0.1), late: steady(0.03) });
    expect([end.cuts, end.paces]).toEqual([[], []]);
    expect(most(end.behind)).toBeLessThan(0.001);
  });

  it("is brought to it gently, by paces that nobody hears", () => {
    const end = listen({ seconds: 40, picture: steady(0.1), late: steady(0.03), start: 0.15 });
    expect(end.cuts).toEqual([]);
    expect(Math.max(...end.paces)).toBeLessThanOrEqual(1.01);
    expect(most(end.behind)).toBeLessThan(0.02);
    expect(end.paces.at(-1)).toBe(1);
  });

  it("follows a picture that jumps by one cut", () => {
    const end = listen({ seconds: 20, picture: (t) => (t < 5 ? 0.6 : 0.1), late: steady(0.03) });
    expect(end.cuts.length).toBe(1);
    expect(most(end.behind)).toBeLessThan(0.02);
  });

  it("stays with a picture while the output's clock runs another way", () => {
    for (const drift of [-0.0005, 0.0005]) {
      const end = listen({ seconds: 300, picture: steady(0.1), late: steady(0.03), drift });
      expect(end.cuts).toEqual([]);
      expect(most(end.behind)).toBeLessThan(0.025);
    }
  });

  it("is not cut for one wrong reading", () => {
    const end = listen({ seconds: 20, picture: (t) => (Math.abs(t - 10) < 0.05 ? 0.3 : 0.1), late: steady(0.03) });
    expect(end.cuts).toEqual([]);
  });
});

describe("sound that comes late", () => {
  it("is heard as soon as it can be, and never runs dry for the picture's sake", () => {
    const end = listen({ seconds: 20, picture: steady(0.06), late: steady(0.08) });
    expect(Math.min(...end.spare)).toBeGreaterThan(0.015);
    expect(Math.max(...end.behind)).toBeLessThan(0.08);
  });

  it("keeps more in hand after gaps, up to a bound, and gives it back, which is nothing to the picture", () => {
    const sync = new LipSync();
    const allowance = sync.allowance(AHEAD_S);
    const begins = (now: number) => {
      const decision = sync.tick({ now, heard: null, ahead: AHEAD_S, ready: 10, seen: null });
      return decision.kind === "begin" ? decision.at : Number.NaN;
    };
    const before = begins(0);
    sync.gap(0);
    expect(before - begins(0)).toBeCloseTo(0.02);
    for (let n = 0; n < 50; n++) sync.gap(1);
    expect(before - begins(1)).toBeCloseTo(0.2);
    expect(begins(400)).toBeCloseTo(before);
    sync.gap(400);
    expect(sync.allowance(AHEAD_S)).toBe(allowance);
  });

  it("lets the picture be so far ahead, that what is heard is behind it by no more than the bound", () => {
    const sync = new LipSync();
    const ready = 10;
    const seen = ready + sync.allowance(AHEAD_S);
    const begun = sync.tick({ now: 0, heard: null, ahead: AHEAD_S, ready, seen });
    if (begun.kind !== "begin") throw new Error(begun.kind);
    expect(seen - begun.at).toBeCloseTo(BEHIND_S_MAX);
  });
});

it("goes on by itself while no picture is to be seen", () => {
  const end = listen({ seconds: 20, picture: (t) => (t < 5 ? 0.1 : null), late: steady(0.03) });
  expect(end.cuts).toEqual([]);
  expect(Math.min(...end.spare)).toBeGreaterThan(0.015);
});

it("waits for sound before it begins", () => {
  expect(new LipSync().tick({ now: 0, heard: null, ahead: 0, ready: null, seen: 5 })).toEqual({ kind: "nothing" });
});
