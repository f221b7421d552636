import { describe, expect, it } from "vitest";
import table from "../../../protocol/vectors/uplink_rate.json";
import { UplinkRate } from "./uplink_rate";

const LOOK_MS = 250;

interface Run {
  samples: number;
  made: number;
  acked: number;
  age_ms: number | null;
  after_ms?: number;
  connection?: string;
  bitrate: number;
  halves_frames: boolean;
}

describe("the bit rate on an uplink", () => {
  it.each(table.cases)("$name", ({ configured, fixed, runs }) => {
    const rate = new UplinkRate(configured, fixed, 0);
    let nowMs = 0;
    for (const run of runs as Run[]) {
      const { samples, made, acked, age_ms: ageMs } = run;
      if (run.connection === "new") rate.connected(nowMs);
      for (let at = 0; at < samples; at += 1) {
        nowMs += (at === 0 ? run.after_ms : undefined) ?? LOOK_MS;
        rate.look({ nowMs, made, acked, ageMs });
      }
      expect([rate.bitrate, rate.halvesFrames]).toEqual([run.bitrate, run.halves_frames]);
    }
  });

  const slow = () => {
    const rate = new UplinkRate(1_000_000, 0, 0);
    for (const nowMs of [250, 500]) rate.look({ nowMs, made: 31_000, acked: 10_000, ageMs: nowMs === 250 ? 10 : 700 });
    rate.look({ nowMs: 750, made: 31_000, acked: 10_000, ageMs: 900 });
    return rate;
  };

  it("says that it is slow from the first step down on", () => {
    expect(new UplinkRate(1_000_000, 0, 0).isSlow).toBe(false);
    expect([slow().isSlow, slow().isAtFloor]).toEqual([true, false]);
  });

  it("gives a picture that became another one what is chosen for it, on a good line", () => {
    const rate = new UplinkRate(1_000_000, 0, 0);
    rate.configure(2_000_000, 0);
    expect([rate.bitrate, rate.isSlow]).toEqual([2_000_000, false]);
  });

  it("gives it no more than before on a slow line", () => {
    const rate = slow();
    const before = rate.bitrate;
    rate.configure(5_000_000, 0);
    expect([rate.bitrate, rate.isSlow]).toEqual([before, true]);
    rate.configure(250_000, 0);
    expect([rate.bitrate, rate.isSlow]).toEqual([250_000, false]);
  });
});
