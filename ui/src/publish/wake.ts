// Notices that this machine has slept, or that its pages were held still for as long: time has passed between two ticks. Some
// systems stop the clock that never goes back while they sleep, others set the wall clock at will: what both leave out is no sleep.
// Pure.

/** Ticks come ten times a second; a page that is merely busy is not late by this much. */
const SLEPT_MS = 3_000;
/** A wall clock that is set by more than this was set by a person. */
const SLEPT_MS_MAX = 30 * 24 * 3_600_000;

export class WakeWatch {
  #steadyMs: number;
  #wallMs: number;

  /** `steadyMs`: on a clock that never goes back. `wallMs`: on this machine's calendar. */
  constructor(steadyMs: number, wallMs: number) {
    this.#steadyMs = steadyMs;
    this.#wallMs = wallMs;
  }

  /** How long it has slept since the last tick, in milliseconds; 0 when it has not. */
  tick(steadyMs: number, wallMs: number): number {
    const passed = Math.max(steadyMs - this.#steadyMs, wallMs - this.#wallMs);
    this.#steadyMs = steadyMs;
    this.#wallMs = wallMs;
    return passed >= SLEPT_MS && passed <= SLEPT_MS_MAX ? passed : 0;
  }
}
