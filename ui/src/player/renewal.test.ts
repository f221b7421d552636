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
  it("is asked about after five seconds, then less and less often", () => {
    const silence = new MediaSilence(0);
    const asked: number[] = [];
    for (let now = 0; now <= 120_000; now += 1000) if (silence.due(now)) asked.push(now / 1000);
    expect(asked).toEqual([5, 15, 35, 65, 95]);
  });

  it("is over with the first media", () => {
    const silence = new MediaSilence(0);
    expect(silence.due(NO_MEDIA_MS_MAX)).toBe(true);
    silence.broken(6000);
    expect([silence.due(10_999), silence.due(11_000)]).toEqual([false, true]);
  });
});
