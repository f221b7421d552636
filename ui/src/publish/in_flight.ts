// How far a connection is behind: the age of the oldest chunk that the relay has not confirmed. Unsent bytes alone would not
// tell, because systems hold megabytes of their own. Pure.

export class InFlight {
  #sentAtMs: number[] = [];
  #confirmed = 0;

  /** A fresh connection. */
  reset(): void {
    this.#sentAtMs = [];
    this.#confirmed = 0;
  }

  /** One chunk was handed to the connection. */
  sent(nowMs: number): void {
    this.#sentAtMs.push(nowMs);
  }

  /** The relay has taken in this many chunks of this connection. */
  confirmed(chunks: number): void {
    this.#sentAtMs.splice(0, Math.max(0, chunks - this.#confirmed));
    this.#confirmed = Math.max(chunks, this.#confirmed);
  }

  /** Milliseconds that the oldest chunk on its way has been on its way. */
  delayMs(nowMs: number): number {
    return this.ageMs(nowMs) ?? 0;
  }

  /** The same, or null when nothing is on its way. */
  ageMs(nowMs: number): number | null {
    const [oldest] = this.#sentAtMs;
    return oldest === undefined ? null : nowMs - oldest;
  }
}
