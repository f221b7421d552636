// Leaves frames out evenly, for a picture that has fewer of them than are captured. Pure.

/** Captured frames come unevenly: one that is this much of an interval after the last is taken for the next. */
const EARLY = 0.75;

export class FramePace {
  #takenAtMs = Number.NEGATIVE_INFINITY;

  /** Whether a frame that comes now is one of `frameRate` per second. */
  takes(nowMs: number, frameRate: number): boolean {
    if (nowMs - this.#takenAtMs < (1000 / frameRate) * EARLY) return false;
    this.#takenAtMs = nowMs;
    return true;
  }

  /** A frame was taken out of turn. */
  took(nowMs: number): void {
    this.#takenAtMs = nowMs;
  }
}
