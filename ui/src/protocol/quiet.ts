// How long the other end has been silent, told so that a page's own sleep is never taken for it. Pure: times go in.

/** How long a client bears a relay's silence before it opens the next one beside it. */
export const CLIENT_PATIENCE_MS = 1000;
/** How often a client looks at its connections. */
export const LOOK_MS = 200;
/** A look that comes later than this was held back: by a page that slept, was busy, or has its timers throttled. */
const LATE_LOOK_MS = 400;
/** Relays that keep up their pace say something every 250 ms; one lost word is no change of pace. */
const PACE_GAP_MS_MAX = 600;
/** How long the pace must have been kept to be believed. */
const PACE_SHOWN_MS = 1000;

/** Time that passed without a word while somebody listened. A look that comes late counts as one in time. */
export class Quiet {
  #ms = 0;
  #at: number;

  constructor(nowMs: number) {
    this.#at = nowMs;
  }

  broken(nowMs: number): void {
    this.#ms = 0;
    this.#at = nowMs;
  }

  /** Milliseconds of silence up to now. */
  look(nowMs: number): number {
    this.#ms += Math.min(Math.max(0, nowMs - this.#at), LATE_LOOK_MS);
    this.#at = nowMs;
    return this.#ms;
  }
}

/** Listens to one relay. */
export class Hearing {
  readonly #quiet: Quiet;
  #heardAt: number;
  #paceSince: number;
  #hasPace = false;

  constructor(nowMs: number) {
    this.#quiet = new Quiet(nowMs);
    this.#heardAt = nowMs;
    this.#paceSince = nowMs;
  }

  heard(nowMs: number): void {
    if (nowMs - this.#heardAt > PACE_GAP_MS_MAX) this.#paceSince = nowMs;
    else if (nowMs - this.#paceSince >= PACE_SHOWN_MS) this.#hasPace = true;
    this.#heardAt = nowMs;
    this.#quiet.broken(nowMs);
  }

  /** Whether the relay has shown that it speaks often enough to be judged by `CLIENT_PATIENCE_MS`. */
  get hasPace(): boolean {
    return this.#hasPace;
  }

  /** Milliseconds of silence up to now. */
  look(nowMs: number): number {
    return this.#quiet.look(nowMs);
  }
}
