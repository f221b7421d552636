// Counts something per second over the last seconds, to be shown. Pure.

/** Long enough to be steady, short enough to follow a change. */
const SPAN_MS = 2000;

export class PerSecond {
  #events: { atMs: number; amount: number }[] = [];

  add(amount: number, nowMs: number): void {
    this.#events.push({ atMs: nowMs, amount });
    this.#forget(nowMs);
  }

  perSecond(nowMs: number): number {
    this.#forget(nowMs);
    const sum = this.#events.reduce((total, event) => total + event.amount, 0);
    return sum / (SPAN_MS / 1000);
  }

  #forget(nowMs: number): void {
    const old = this.#events.findIndex((event) => nowMs - event.atMs < SPAN_MS);
    this.#events.splice(0, old < 0 ? this.#events.length : old);
  }
}
