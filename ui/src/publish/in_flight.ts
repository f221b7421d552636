// How far a connection is behind: the age of the oldest chunk that the relay has not confirmed. Unsent bytes alone would not
// tell, because systems hold megabytes of their own. Pure.

import type { SegmentTag } from "../transport/transport";

export class InFlight {
  #sent: { atMs: number; segment: SegmentTag }[] = [];
  #confirmed = 0;

  /** One chunk of a segment was handed to the connection. */
  sent(nowMs: number, segment: SegmentTag): void {
    this.#sent.push({ atMs: nowMs, segment });
  }

  /** The relay has taken in this many chunks of this connection. */
  confirmed(chunks: number): void {
    this.#sent.splice(0, Math.max(0, chunks - this.#confirmed));
    this.#confirmed = Math.max(chunks, this.#confirmed);
  }

  /**
   * What was on its way of a segment does not arrive. Some of it may have: its confirmation is then taken for that of later chunks,
   * until for a moment none is on its way.
   */
  lost(segment: SegmentTag): void {
    this.#sent = this.#sent.filter((each) => each.segment !== segment);
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
