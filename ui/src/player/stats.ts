// What the player measures of itself, for people and for tests. Pure sums; the parts report to it.

import type { TransportKind } from "../transport/transport";
import type { RenditionFacts } from "./renditions";

export interface PlayerStats {
  /** From the capture of the shown picture to the screen, by the directory's clock; null before the first picture. */
  latencyMs: number | null;
  /** Pictures shown per second. */
  framesPerSecond: number;
  /** Pictures decoded but never shown. */
  framesDropped: number;
  width: number;
  height: number;
  /** The pictures to choose from; null where there is one. */
  rendition: RenditionFacts | null;
  bitsPerSecond: number;
  /** What the media travel by; null while there is no connection. */
  transport: TransportKind | null;
  /** People who watch on the same relay; null until the relay has said so. */
  viewers: number | null;
  /** Chunks that the relay left out because this viewer fell behind. */
  chunksSkipped: number;
  /** Pieces of an end-to-end encrypted stream that were changed, withheld or repeated on their way, and so were not shown; null
   * where nothing would tell. */
  tampered: number | null;
  /** How much media is ready ahead of the playhead. */
  bufferLeadMs: number;
  /** How much is held in the buffer altogether. */
  bufferMs: number;
  /** How much later than its picture the sound is heard; null where the browser keeps the two together, and while nothing is heard. */
  soundBehindMs: number | null;
  /** Times the sound ran dry; null where the browser plays it. */
  soundGaps: number | null;
  playbackRate: number;
  /** Seeks to the live edge since the start. */
  jumps: number;
  /** Times the picture ran dry. */
  stalls: number;
  reconnects: number;
  /** From `start` to the first picture. */
  firstPictureMs: number | null;
}

export const NO_STATS: PlayerStats = {
  latencyMs: null,
  framesPerSecond: 0,
  framesDropped: 0,
  width: 0,
  height: 0,
  rendition: null,
  bitsPerSecond: 0,
  transport: null,
  viewers: null,
  chunksSkipped: 0,
  tampered: null,
  bufferLeadMs: 0,
  bufferMs: 0,
  soundBehindMs: null,
  soundGaps: null,
  playbackRate: 1,
  jumps: 0,
  stalls: 0,
  reconnects: 0,
  firstPictureMs: null,
};

/** How long a rate is averaged. */
const RATE_WINDOW_MS = 2000;
/** More entries than a window holds at any real rate; bounds the memory. */
const RATE_ENTRIES_MAX = 4096;

/** Adds up amounts over the last two seconds. */
export class RateMeter {
  #entries: { at: number; amount: number }[] = [];
  #since: number | null = null;

  add(now: number, amount: number): void {
    this.#since ??= now;
    this.#entries.push({ at: now, amount });
    if (this.#entries.length > RATE_ENTRIES_MAX) this.#entries.shift();
  }

  perSecond(now: number): number {
    this.#entries = this.#entries.filter((entry) => entry.at > now - RATE_WINDOW_MS);
    const sum = this.#entries.reduce((total, entry) => total + entry.amount, 0);
    const over = Math.min(RATE_WINDOW_MS, now - (this.#since ?? now));
    return over < 250 ? 0 : (sum * 1000) / over;
  }
}

/** The middle of the latest latencies: one late frame is no news. */
export class LatencyMeter {
  #latest: number[] = [];

  add(latencyMs: number): void {
    this.#latest.push(latencyMs);
    if (this.#latest.length > 30) this.#latest.shift();
  }

  get middle(): number | null {
    const sorted = [...this.#latest].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? null;
  }

  reset(): void {
    this.#latest = [];
  }
}
