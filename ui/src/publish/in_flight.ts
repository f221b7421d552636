// How far a connection is behind: the age of the oldest chunk that the relay has not confirmed. Unsent bytes alone would not
// tell, because systems hold megabytes of their own. Pure.

export class InFlight {
  #sent: { atMs: number; track: number }[] = [];
  #confirmed = 0;

  /** One chunk of a track was handed to the connection. */
  sent(nowMs: number, track: number): void {
    this.#sent.push({ atMs: nowMs, track });
  }

  /** The relay has taken in this many chunks of this connection. */
  confirmed(chunks: number): void {
    this.#sent.splice(0, Math.max(0, chunks - this.#confirmed));
    this.#confirmed = Math.max(chunks, this.#confirmed);
  }

  /**
   * Waits no longer for what is on its way of a track, or of all. Some of it may arrive: its confirmation is then taken for that of later
   * chunks, until for a moment none is on its way.
   */
  forget(track?: number): void {
    this.#sent = track === undefined ? [] : this.#sent.filter((each) => each.track !== track);
  }

  /** Milliseconds that the oldest chunk on its way has been on its way. */
  delayMs(nowMs: number): number {
    return this.ageMs(nowMs) ?? 0;
  }

  /** The same, or null when nothing is on its way. */
  ageMs(nowMs: number): number | null {
    const [oldest] = this.#sent;
    return oldest === undefined ? null : nowMs - oldest.atMs;
  }
}
