import { describe, expect, it } from "vitest";
import { Hearing, Quiet } from "./quiet";

describe("silence", () => {
  it("is counted while somebody looks, and over with a word", () => {
    const quiet = new Quiet(0);
    expect([quiet.look(200), quiet.look(400), quiet.look(600)]).toEqual([200, 400, 600]);
    quiet.broken(700);
    expect(quiet.look(800)).toBe(100);
  });

  it("of a page that slept was its own", () => {
    const quiet = new Quiet(0);
    expect(quiet.look(3_600_000)).toBeLessThan(1000);
  });

  it("is noticed by a page with throttled timers too, only later", () => {
    const quiet = new Quiet(0);
    const looks = [1, 2, 3].map((second) => quiet.look(second * 1000));
    expect(looks.map((ms) => ms >= 1000)).toEqual([false, false, true]);
  });
});

describe("a relay's pace", () => {
  const pace = (gapMs: number, words: number): boolean => {
    const hearing = new Hearing(0);
    for (let word = 1; word <= words; word += 1) hearing.heard(word * gapMs);
    return hearing.hasPace;
  };

  it("is believed after a second of words four times a second", () => {
    expect([pace(250, 3), pace(250, 5)]).toEqual([false, true]);
  });

  it("is never believed of a relay that speaks every two seconds", () => {
    expect(pace(2000, 50)).toBe(false);
  });

  it("stays believed through a hiccup", () => {
    const hearing = new Hearing(0);
    for (let at = 250; at <= 2000; at += 250) hearing.heard(at);
    hearing.heard(5000);
    expect(hearing.hasPace).toBe(true);
  });
});
