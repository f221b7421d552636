// The directory's clock, measured from here. Frames are stamped with it and delays are counted by it, so that computers whose
// own clocks differ agree on what "now" is.

/** Samples of one measurement; the one with the shortest round trip is the best. */
const SAMPLES = 5;
/** Computers' clocks drift apart by some milliseconds a minute at worst. */
const REFRESH_MS = 60_000;
/** While the directory can't be asked. */
const RETRY_MS = 5_000;

/** One look at the directory's clock: local times before and after, and what it said. */
export interface ClockSample {
  sentMs: number;
  receivedMs: number;
  serverMs: number;
}

/** How far the directory's clock is ahead, in milliseconds: by the sample that leaves the least room for doubt. */
export function clockOffset(samples: readonly ClockSample[]): number | undefined {
  const roundTrip = (sample: ClockSample) => sample.receivedMs - sample.sentMs;
  const [first, ...rest] = samples;
  if (!first) return undefined;
  const best = rest.reduce((a, b) => (roundTrip(b) < roundTrip(a) ? b : a), first);
  return best.serverMs - (best.sentMs + best.receivedMs) / 2;
}

export class DirectoryClock {
  #askMs: () => Promise<number>;
  #offsetMs: number | undefined;
  #started: Promise<void> | undefined;
  #measuring = false;
  #next: ReturnType<typeof setTimeout> | undefined;

  /** `askMs` answers the directory's time in milliseconds since the Unix epoch. */
  constructor(askMs: () => Promise<number>) {
    this.#askMs = askMs;
  }

  /** Milliseconds since the Unix epoch by the directory's clock; by this machine's until it has been measured. */
  now(): number {
    return localMs() + (this.#offsetMs ?? 0);
  }

  /** Whether it has been measured. */
  get known(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** Begins to measure, now and every minute. Resolves after the first try, whatever came of it. */
  start(): Promise<void> {
    this.#started ??= this.#measure();
    return this.#started;
  }

  /** Measures at once: this machine's clock may have stood still while it slept. */
  async again(): Promise<void> {
    if (!this.#started) return this.start();
    if (!this.#measuring) await this.#measure();
  }

  async #measure(): Promise<void> {
    this.#measuring = true;
    clearTimeout(this.#next);
    const samples: ClockSample[] = [];
    for (let i = 0; i < SAMPLES; i += 1) {
      const sentMs = localMs();
      try {
        const serverMs = await this.#askMs();
        samples.push({ sentMs, receivedMs: localMs(), serverMs });
      } catch {
        break;
      }
    }
    this.#offsetMs = clockOffset(samples) ?? this.#offsetMs;
    this.#measuring = false;
    this.#next = setTimeout(() => void this.#measure(), samples.length === SAMPLES ? REFRESH_MS : RETRY_MS);
  }
}

/** This machine's time on a clock that is never set back while the page is open. */
function localMs(): number {
  return performance.timeOrigin + performance.now();
}
