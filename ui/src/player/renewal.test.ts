import { describe, expect, it } from "vitest";
import { MediaSilence, NO_MEDIA_MS_MAX, Renewal } from "./renewal";

const TEN_MINUTES = 600_000;

describe("a ticket", () => {
  it("is renewed at half of its life, a little earlier or later", () => {
    for (const [random, dueAt] of [
      [0, 285_000],
      [0.5, 300_000],
      [1, 315_000],
    ] as const) {
      const renewal = new Renewal();
      renewal.begin(1000, TEN_MINUTES, random);
      expect([renewal.due(1000 + dueAt - 1), renewal.due(1000 + dueAt)]).toEqual([false, true]);
    }
  });

  it("is renewed soon when more relays are about to work, and at half of its life at the latest", () => {
    for (const [askAgainMs, random, dueAt] of [
      [5000, 0, 5000],
      [5000, 1, 7500],
      [600_000, 0.5, 300_000],
    ] as const) {
      const renewal = new Renewal();
      renewal.begin(1000, TEN_MINUTES, random, askAgainMs);
      expect([renewal.due(1000 + dueAt - 1), renewal.due(1000 + dueAt)]).toEqual([false, true]);
    }
  });

  it("is not renewed before there is one", () => {
    expect(new Renewal().due(1e12)).toBe(false);
  });

  it("is tried again until the directory is back, at most 30 s apart", () => {
    const renewal = new Renewal();
    renewal.begin(0, TEN_MINUTES, 0.5);
    let now = 300_000;
    const pauses: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      renewal.failed(now, 0, 1);
      const from = now;
      while (!renewal.due(now)) now += 500;
      pauses.push(now - from);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    renewal.begin(now, TEN_MINUTES, 0.5);
    expect([renewal.due(now + 299_999), renewal.due(now + 300_000)]).toEqual([false, true]);
  });

  it("waits for as long as the directory asks", () => {
    const renewal = new Renewal();
    renewal.failed(0, 42_000, 0);
    expect([renewal.due(41_999), renewal.due(42_000)]).toEqual([false, true]);
  });
});

describe("silence of a relay that lives", () => {
  /** The seconds at which it is asked about, looking five times a second. */
  const asked = (silence: MediaSilence, fromMs: number, untilMs: number): number[] => {
    const seconds: number[] = [];
    for (let now = fromMs; now <= untilMs; now += 200) if (silence.due(now)) seconds.push(now / 1000);
    return seconds;
  };

  it("is asked about after two seconds, every two seconds for a while, then less and less often", () => {
    expect(asked(new MediaSilence(0), 0, 120_000)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 20, 28, 44, 74, 104]);
  });

  it("is asked about after one second when the broadcaster is away", () => {
    const silence = new MediaSilence(0);
    silence.broadcaster(false, 400);
    expect(asked(silence, 400, 5000)).toEqual([1.4, 3.4]);
  });

  it("is no reason to ask while the broadcaster is away for a moment", () => {
    const silence = new MediaSilence(0);
    silence.broadcaster(false, 400);
    silence.broadcaster(true, 800);
    expect(asked(silence, 800, 1800)).toEqual([]);
  });

  it("is over with the first media", () => {
    const silence = new MediaSilence(0);
    expect(asked(silence, 0, NO_MEDIA_MS_MAX)).toEqual([2]);
    silence.broken(2200);
    expect(asked(silence, 2200, 4200)).toEqual([4.2]);
  });

  it("of a page that slept was its own", () => {
    const silence = new MediaSilence(0);
    expect(silence.due(3_600_000)).toBe(false);
  });
});
