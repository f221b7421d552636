import { describe, expect, it } from "vitest";
import { type Circumstances, sentenceOf } from "./sentence";

const FINE: Circumstances = {
  state: "live",
  behind: false,
  line: "good",
  hasSmall: false,
  pictureKbit: 2600,
  online: true,
  source: "shown",
  woke: false,
};
const say = (change: Partial<Circumstances>) => sentenceOf({ ...FINE, ...change });

describe("a broadcast in words", () => {
  it("says that people see it, when they do", () => {
    expect(say({})).toBe("People with the link see your screen.");
  });

  it("says what a slow connection costs, and when that is over", () => {
    expect(say({ line: "slow", pictureKbit: 800 })).toContain(
      "Your connection is slow: the picture is sent at 800 kbit/s",
    );
    expect(say({ line: "slow", pictureKbit: 1200 })).toContain("at 1.2 Mbit/s");
    expect(say({ line: "good_again" })).toContain("good again: the picture is sent at 2.6 Mbit/s");
  });

  it("says what would help where even the least is too much", () => {
    expect(say({ line: "too_slow" })).toMatch(/any picture.*cable/);
    expect(say({ line: "too_slow", hasSmall: true })).toMatch(/small one.*cable/);
  });

  it("blames the network where there is none, but not while everything arrives", () => {
    expect(say({ state: "reconnecting", online: false })).toContain("offline");
    expect(say({ online: false })).toBe("People with the link see your screen.");
  });

  it("speaks of sleep, before and after the connection is back", () => {
    expect(say({ state: "reconnecting", woke: true })).toContain("asleep. Connecting");
    expect(say({ woke: true })).toContain("asleep. The stream goes on");
  });

  it("says first what keeps people from seeing anything", () => {
    expect(say({ source: "gone", line: "slow" })).toContain("card");
    expect(say({ source: "hidden", line: "slow" })).toContain("minimised");
    expect(say({ state: "reconnecting", source: "gone" })).toContain("connection broke");
    expect(say({ state: "ended", online: false, source: "gone" })).toBe("The stream is over.");
  });
});
