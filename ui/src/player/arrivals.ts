// How late chunks arrive, measured against their own times. Each arrival is kept as (media time - clock time): a constant on a
// perfect network, whose spread is the jitter. It does not depend on what the playhead does.

/** How long an arrival counts: jitter that has not shown itself for this long is forgotten. */
const WINDOW_S = 6;
/** More arrivals than any stream has in a window; bounds the memory. */
const ARRIVALS_MAX = 1024;
/** The share of arrivals that may be later than the floor: single hiccups must not add latency for everybody. */
const LATE_SHARE = 0.03;
/** The most jitter that is made room for. Lateness beyond it was an outage, which is left behind when it is over. */
const JITTER_S_MAX = 0.5;
/** Fewer arrivals than this say nothing. */
const ARRIVALS_MIN = 3;

export class Arrivals {
  #kept: { at: number; offset: number }[] = [];

  constructor(
    private readonly windowS = WINDOW_S,
    private readonly jitterMaxS = JITTER_S_MAX,
  ) {}

  /** A chunk that is to be shown at `mediaTime` came at `now`, both in seconds. */
  add(now: number, mediaTime: number): void {
    this.#kept.push({ at: now, offset: mediaTime - now });
    if (this.#kept.length > ARRIVALS_MAX) this.#kept.shift();
  }

  /** The media time up to which everything is there at clock time `now`, but for the latest few; null when unknown. */
  readyAt(now: number): number | null {
    const sorted = this.#sorted(now);
    const floor = sorted[Math.floor(LATE_SHARE * sorted.length)];
    const best = sorted.at(-1);
    if (floor === undefined || best === undefined) return null;
    return now + Math.max(floor, best - this.jitterMaxS);
  }

  /** The media time up to which half of what comes is there, whatever comes late now and then; null when unknown. */
  middleAt(now: number): number | null {
    const sorted = this.#sorted(now);
    const middle = sorted[Math.floor(sorted.length / 2)];
    return middle === undefined ? null : now + middle;
  }

  reset(): void {
    this.#kept = [];
  }

  /** Offsets of the arrivals in the window, latest arrivals first; none when they are too few. */
  #sorted(now: number): number[] {
    const from = this.#kept.findIndex((arrival) => arrival.at >= now - this.windowS);
    if (from > 0) this.#kept.splice(0, from);
    if (from < 0) this.#kept = [];
    if (this.#kept.length < ARRIVALS_MIN) return [];
    return this.#kept.map((arrival) => arrival.offset).sort((a, b) => a - b);
  }
}
