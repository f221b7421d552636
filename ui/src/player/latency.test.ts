import { describe, expect, it } from "vitest";
import { seeded } from "./fixtures/boxes";
import { type Engine, LatencyControl } from "./latency";

interface World {
  engine?: Engine;
  sound?: boolean;
  seconds: number;
  /** Seconds of media time ahead of the playhead at the start. */
  lead: number;
  frame?: number;
  /** Network delay of the chunk captured at `t`, in seconds. */
  delay: (t: number) => number;
  /** The broadcaster's clock runs this much faster. */
  drift?: number;
}

/** Plays a stream whose chunks are captured every `frame` seconds, with the playhead that the control steers. */
function play(world: World) {
  const { engine = "chromium", sound = false, seconds, lead, frame = 1 / 30, delay, drift = 0 } = world;
  const control = new LatencyControl(engine);
  const step = 0.01;
  let position = -lead;
  let edge = 0;
  let rate = 1;
  let heldUntil = 0;
  let next = 0;
  const waiting: { at: number; time: number }[] = [];
  const rates: number[] = [];
  const jumps: number[] = [];
  const holds: number[] = [];
  const slacks: { t: number; slack: number }[] = [];
  for (let i = 0; i * step < seconds; i++) {
    const t = i * step;
    while (next * frame <= t) {
      const time = next * frame * (1 + drift);
      // Chunks arrive in order, as on one socket.
      const at = Math.max(next * frame + delay(t), waiting.at(-1)?.at ?? 0);
      waiting.push({ at, time });
      next += 1;
    }
    while (waiting[0] && waiting[0].at <= t) {
      const { time } = waiting.shift() as { at: number; time: number };
      control.arrived(t, 1, sound, time);
      slacks.push({ t, slack: time - position });
      edge = time;
    }
    const moving = t >= heldUntil;
    if (moving) position += step * rate;
    if (i % 10 !== 0 || !moving) continue;
    const decision = control.tick({ now: t, position, edge, edgeStart: -100, moving });
    if (decision.kind === "rate") {
      rate = decision.rate;
      rates.push(rate);
    }
    if (decision.kind === "jump") {
      jumps.push(t);
      position = decision.to;
    }
    if (decision.kind === "hold") {
      holds.push(t);
      heldUntil = t + decision.ms / 1000;
    }
  }
  const late = slacks.filter(({ t }) => t > seconds - 5).map(({ slack }) => slack);
  return { rates, jumps, holds, least: Math.min(...late), most: Math.max(...late), control };
}

const steady = () => 0.02;

describe("an engine that can be steered by rate", () => {
  it("sheds a lead of 300 ms by rate alone, within rates that nobody notices, and then rests", () => {
    const end = play({ seconds: 15, lead: 0.3, delay: steady });
    expect(end.jumps).toEqual([]);
    expect(Math.max(...end.rates)).toBeLessThanOrEqual(1.1);
    expect(end.least).toBeGreaterThan(0.02);
    expect(end.most).toBeLessThan(0.09);
    expect(end.rates.at(-1)).toBe(1);
  });

  it("leaves a lead of two seconds by one jump", () => {
    const end = play({ seconds: 10, lead: 2, delay: steady });
    expect(end.jumps.length).toBe(1);
    expect(end.most).toBeLessThan(0.1);
  });

  it("builds up slack when it starts without any", () => {
    const end = play({ seconds: 10, lead: 0, delay: steady });
    expect(Math.min(...end.rates)).toBeGreaterThanOrEqual(0.95);
    expect(end.least).toBeGreaterThan(0.02);
  });

  it("makes room for jitter and for no more than that", () => {
    const random = seeded(3);
    const end = play({ seconds: 30, lead: 0.1, delay: () => 0.02 + random() * 0.12 });
    expect(end.least).toBeGreaterThan(-0.02);
    expect(end.most).toBeLessThan(0.3);
  });

  it("comes back down after the jitter is over", () => {
    const random = seeded(4);
    const end = play({ seconds: 40, lead: 0.1, delay: (t) => (t < 15 ? 0.02 + random() * 0.2 : 0.02) });
    expect(end.most).toBeLessThan(0.1);
  });

  it("follows a broadcaster whose clock runs fast or slow", () => {
    for (const drift of [0.002, -0.002]) {
      const end = play({ seconds: 60, lead: 0.1, delay: steady, drift });
      expect(end.least).toBeGreaterThan(0);
      expect(end.most).toBeLessThan(0.12);
      expect(end.jumps).toEqual([]);
    }
  });

  it("holds the edge of a still screen that sends two pictures a second", () => {
    const end = play({ seconds: 30, lead: 0.5, delay: steady, frame: 0.5 });
    expect(end.least).toBeGreaterThan(0.01);
    expect(end.most).toBeLessThan(0.12);
  });

  it("is back at the edge within a second of the end of an outage", () => {
    const outage = (t: number) => (t > 10 && t < 14 ? 14 - t + 0.02 : 0.02);
    expect(play({ seconds: 15.5, lead: 0.1, delay: outage }).jumps.at(-1)).toBeLessThan(15);
    const end = play({ seconds: 32, lead: 0.1, delay: outage });
    expect(end.most).toBeLessThan(0.15);
  });

  it("is not moved by one hiccup of half a second", () => {
    const end = play({ seconds: 20, lead: 0.1, delay: (t) => (t > 10 && t < 10.03 ? 0.5 : 0.02) });
    expect(end.jumps).toEqual([]);
    expect(end.most).toBeLessThan(0.15);
  });

  it("gives sound more slack, and every stall a little more", () => {
    const control = new LatencyControl("chromium");
    const picture = control.margin(0);
    control.arrived(0, 2, true, 0);
    const sound = control.margin(0);
    expect(sound).toBeGreaterThan(picture);
    control.ranDry(0);
    expect(control.margin(0)).toBeGreaterThan(sound);
    for (let i = 0; i < 100; i++) control.ranDry(0);
    expect(control.margin(0)).toBeLessThan(0.6);
    expect(control.margin(1000)).toBe(sound);
  });
  it("forgets the stalls of a picture that was too much when another one comes", () => {
    const control = new LatencyControl("chromium");
    const margin = control.margin(0);
    for (let stall = 0; stall < 5; stall += 1) control.ranDry(stall);
    expect(control.margin(5)).toBeGreaterThan(margin + 0.1);
    control.switched();
    expect(control.margin(5)).toBe(margin);
  });
});

describe("WebKit", () => {
  it("never changes the rate, whatever happens", () => {
    const random = seeded(5);
    for (const lead of [0, 0.1, 0.5, 1, 3]) {
      const end = play({ engine: "webkit", seconds: 20, lead, delay: () => 0.02 + random() * 0.2 });
      expect(end.rates).toEqual([]);
    }
  });

  it("keeps a lead of half a second rather than freeze for a seek", () => {
    expect(play({ engine: "webkit", seconds: 20, lead: 0.5, delay: steady }).jumps).toEqual([]);
  });

  /** A playhead that stays so far behind although it is made to seek, for a minute; when it was made to. */
  const seeksAt = (lead: number) => {
    const control = new LatencyControl("webkit");
    expect(control.begin(0, 0, 1).kind).toBe("play");
    const seeks: number[] = [];
    for (let i = 0; i < 600; i++) {
      const now = i / 10;
      control.arrived(now, 1, false, now);
      const playhead = { now, position: now - lead, edge: now, edgeStart: 0, moving: true };
      if (control.tick(playhead).kind === "jump") seeks.push(now);
    }
    return seeks;
  };

  it("sheds the lead of a cold start, but gives up after three seeks that bring nothing", () => {
    const seeks = seeksAt(0.4);
    expect(seeks.length).toBe(3);
    expect(seeks[0]).toBeGreaterThan(2);
    for (const [i, at] of seeks.entries()) if (i > 0) expect(at - (seeks[i - 1] ?? 0)).toBeGreaterThan(10);
  });

  it("keeps a lead that is nearly right", () => {
    expect(seeksAt(0.15)).toEqual([]);
  });

  it("seeks once when it is far behind, and not again within four seconds", () => {
    const end = play({ engine: "webkit", seconds: 20, lead: 3, delay: steady });
    expect(end.jumps.length).toBe(1);
    const worse = play({ engine: "webkit", seconds: 20, lead: 3, delay: steady, drift: 0.3 });
    for (const [i, at] of worse.jumps.entries())
      if (i > 0) expect(at - (worse.jumps[i - 1] ?? 0)).toBeGreaterThanOrEqual(4);
  });

  it("holds the playhead for a moment when what arrives is already late", () => {
    const end = play({ engine: "webkit", seconds: 20, lead: -0.1, delay: steady });
    expect(end.holds.length).toBeGreaterThan(0);
    expect(end.least).toBeGreaterThan(0.02);
  });

  it("begins only with enough ahead", () => {
    const control = new LatencyControl("webkit");
    expect(control.begin(0, 10, 10.03)).toEqual({ kind: "nothing" });
    expect(control.begin(0, 10, 11)).toMatchObject({ kind: "play" });
  });
});

it("leaves a hole in the media at once, but not twice in one breath", () => {
  const control = new LatencyControl("chromium");
  const stuck = { position: 5, edge: 12, edgeStart: 10, moving: false };
  expect(control.tick({ now: 1, ...stuck })).toMatchObject({ kind: "jump" });
  expect(control.tick({ now: 1.1, ...stuck })).toEqual({ kind: "nothing" });
});

it("does nothing while nothing arrives", () => {
  const control = new LatencyControl("chromium");
  for (let i = 0; i < 10; i++) control.arrived(i / 30, 1, false, i / 30);
  expect(control.tick({ now: 3, position: 2.5, edge: 0.3, edgeStart: 0, moving: true })).toEqual({ kind: "nothing" });
});

describe("sound that is played beside the picture", () => {
  /** Sound that allows the picture to be so far behind its capture at every moment; how far behind the picture is in the end. */
  function behind(allows: (t: number) => number, seconds = 20): number {
    const control = new LatencyControl("chromium");
    let position = -0.06;
    let rate = 1;
    for (let i = 0; i < seconds * 100; i++) {
      const t = i / 100;
      if (i % 3 === 0) control.arrived(t, 1, false, t - 0.02);
      if (i % 2 === 0 && !Number.isNaN(allows(t))) control.allowed(t, t - allows(t));
      position += 0.01 * rate;
      if (i % 10 !== 0) continue;
      const decision = control.tick({ now: t, position, edge: t - 0.02, edgeStart: -100, moving: true });
      if (decision.kind === "rate") rate = decision.rate;
      if (decision.kind === "jump") position = decision.to;
    }
    return seconds - position;
  }

  it("takes nothing from a picture that it keeps up with", () => {
    expect(behind(() => 0.01)).toBeLessThan(0.09);
  });

  it("holds the picture back by as much as it is late", () => {
    expect(behind(() => 0.2)).toBeGreaterThan(0.17);
    expect(behind(() => 0.2)).toBeLessThan(0.23);
  });

  it("does not hold it back for what comes late now and then", () => {
    expect(behind((t) => (t % 1 < 0.3 ? 0.5 : 0.01))).toBeLessThan(0.09);
  });

  it("lets it go on soon after it has caught up, and after it was muted", () => {
    expect(behind((t) => (t < 10 ? 0.4 : 0.01))).toBeLessThan(0.09);
    expect(behind((t) => (t < 10 ? 0.4 : Number.NaN))).toBeLessThan(0.09);
  });
});
