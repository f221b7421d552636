import { describe, expect, it } from "vitest";
import {
  AutomaticPicture,
  CLIMB_MS_FIRST,
  CLIMB_MS_MAX,
  FAR_TOO_LATE_MS,
  LATE_FOR_MS,
  TROUBLES_MS,
} from "./automatic_picture";

/** Looks ten times a second, as arrivals do; what happens in between is told by `at`. */
class Viewer {
  now = 0;
  pictures = 2;
  readonly automatic = new AutomaticPicture(0);

  /** Time passes; the moments, in seconds, at which the picture changed. */
  passes(ms: number, lateness = 100, growth = 0): number[] {
    const changes: number[] = [];
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 100;
      this.automatic.arrived(this.now, lateness + ((this.now - (end - ms)) * growth) / 1000);
      if (this.automatic.look(this.now, this.pictures)) changes.push(this.now / 1000);
    }
    return changes;
  }

  trouble(times = 1): void {
    for (let n = 0; n < times; n += 1) this.automatic.trouble(this.now);
  }

  get steps(): number {
    return this.automatic.steps(this.pictures);
  }
}

/** A viewer that has gone down at 10 s. */
function small(): Viewer {
  const viewer = new Viewer();
  viewer.passes(9900);
  viewer.trouble(2);
  expect([viewer.passes(100), viewer.steps]).toEqual([[10], 1]);
  return viewer;
}

describe("a smaller picture", () => {
  it("is not taken while all is well, nor after one hiccup", () => {
    const viewer = new Viewer();
    expect(viewer.passes(60_000)).toEqual([]);
    viewer.trouble();
    viewer.passes(TROUBLES_MS);
    viewer.trouble();
    expect([viewer.passes(60_000), viewer.steps]).toEqual([[], 0]);
  });

  it("is taken after two skips or stalls in ten seconds", () => {
    const viewer = new Viewer();
    viewer.passes(1000);
    viewer.trouble();
    viewer.passes(9000);
    viewer.trouble();
    expect([viewer.passes(500), viewer.steps]).toEqual([[10.1], 1]);
  });

  it("is taken when pictures come later and later, before anything is left out", () => {
    const viewer = new Viewer();
    viewer.passes(5000);
    expect(viewer.passes(LATE_FOR_MS, 850, 300)).toEqual([]);
    expect(viewer.passes(500, 1450, 300)).toEqual([7.1]);
  });

  it("is taken when they come so late that there is much to catch up with", () => {
    const viewer = new Viewer();
    viewer.passes(5000);
    expect(viewer.passes(3000, 100 + FAR_TOO_LATE_MS)).toEqual([7.1]);
  });

  it("is not taken when they come late but no later: that may be so before the relay", () => {
    const viewer = new Viewer();
    viewer.passes(5000);
    expect(viewer.passes(20_000, 2000)).toEqual([]);
  });

  it("is not taken for a moment of lateness, as after a change of relay", () => {
    const viewer = new Viewer();
    viewer.passes(5000);
    viewer.passes(LATE_FOR_MS - 200, 5000);
    expect(viewer.passes(20_000)).toEqual([]);
  });

  it("is not taken for a clock that was set", () => {
    const viewer = new Viewer();
    viewer.passes(5000, -40_000);
    viewer.automatic.begin(viewer.now);
    expect(viewer.passes(60_000, 0)).toEqual([]);
  });

  it("is not taken by a page that slept", () => {
    const viewer = new Viewer();
    viewer.passes(5000);
    viewer.now += 3_600_000;
    viewer.trouble(2);
    expect(viewer.passes(1000)).toEqual([]);
  });

  it("is not looked for where there is none", () => {
    const viewer = new Viewer();
    viewer.pictures = 1;
    viewer.trouble(2);
    expect([viewer.passes(1000), viewer.steps]).toEqual([[], 0]);
  });

  it("is followed by one that is smaller still, once the switch has had its time", () => {
    const viewer = small();
    viewer.pictures = 3;
    viewer.trouble(5);
    expect(viewer.passes(4000)).toEqual([]);
    viewer.trouble(2);
    expect([viewer.passes(100).length, viewer.steps]).toEqual([1, 2]);
  });
});

describe("a larger picture", () => {
  it("is tried after twenty calm seconds, and stays when all stays well", () => {
    const viewer = small();
    expect([viewer.passes(600_000), viewer.steps]).toEqual([[10 + CLIMB_MS_FIRST / 1000], 0]);
  });

  it("is not tried while the small one has troubles too", () => {
    const viewer = small();
    for (let n = 0; n < 30; n += 1) {
      viewer.trouble();
      expect(viewer.passes(10_000)).toEqual([]);
    }
    expect(viewer.passes(20_000, 2000)).toEqual([]);
    expect(viewer.steps).toBe(1);
  });

  it("is tried after twice the time when it could not be held, up to five minutes", () => {
    const viewer = small();
    const waits: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const began = viewer.now;
      while (viewer.passes(100).length === 0);
      waits.push((viewer.now - began) / 1000);
      viewer.passes(8000);
      viewer.trouble(2);
      viewer.passes(100);
      expect(viewer.steps).toBe(1);
    }
    expect(waits).toEqual([20, 40, 80, 160, CLIMB_MS_MAX / 1000, CLIMB_MS_MAX / 1000]);
  });

  it("that held for as long as it was waited for makes up for earlier failures", () => {
    const viewer = small();
    viewer.passes(CLIMB_MS_FIRST + 8000);
    viewer.trouble(2);
    viewer.passes(100);
    expect(viewer.passes(2 * CLIMB_MS_FIRST).length).toBe(1);
    viewer.passes(2 * CLIMB_MS_FIRST);
    viewer.trouble(2);
    viewer.passes(100);
    expect(viewer.passes(CLIMB_MS_FIRST).length).toBe(1);
  });

  it("waits for calm on a connection that is new", () => {
    const viewer = small();
    viewer.passes(15_000);
    viewer.automatic.begin(viewer.now);
    expect(viewer.passes(15_000)).toEqual([]);
    expect(viewer.passes(6000).length).toBe(1);
  });
});
