// Which of a stream's pictures the connection bears. Pure: troubles, arrivals and the time go in, a number of steps below the
// largest picture comes out. Times are in milliseconds.

/** So many skips and stalls within this time are more than a hiccup. */
export const TROUBLES_MAX = 2;
export const TROUBLES_MS = 10_000;
/** Chunks that come this much later than they could, for this long, and later and later: the connection carries less than is sent.
 * What is late but stays as late as it is may have been late before it came to the relay, and a smaller picture would be, too. */
export const LATE_MS = 700;
export const LATE_FOR_MS = 2000;
export const LATER_BY_MS = 400;
/** So late it is worth a smaller picture in any case: with room to spare the delay can be made up for. */
export const FAR_TOO_LATE_MS = 3000;
/** Calm after which a larger picture is tried. Each try that fails doubles it. */
export const CLIMB_MS_FIRST = 20_000;
export const CLIMB_MS_MAX = 300_000;
/** A switch waits for the end of a segment, and what is on its way already comes first: until then nothing is a new trouble. */
const SETTLE_MS = 4000;
/** For how long the earliest arrival is what others are measured against: clocks drift, and are set. */
const BEST_MS = 30_000;
/** Nobody has looked for this long: the page slept, and what came late or not at all says nothing of the connection. */
const SLEPT_MS = 5000;

export class AutomaticPicture {
  #steps = 0;
  #troubles: number[] = [];
  #calmSince: number;
  #settledAt = Number.NEGATIVE_INFINITY;
  #climbMs = CLIMB_MS_FIRST;
  #climbedAt: number | null = null;
  #late: { since: number; ms: number } | null = null;
  #lateMs = 0;
  #best = Number.POSITIVE_INFINITY;
  #bestBefore = Number.POSITIVE_INFINITY;
  #bestSince: number;
  #lookedAt: number;

  constructor(now: number) {
    this.#calmSince = now;
    this.#bestSince = now;
    this.#lookedAt = now;
  }

  /** How many steps below the largest of `pictures`. */
  steps(pictures: number): number {
    return Math.max(0, Math.min(this.#steps, pictures - 1));
  }

  /** The relay has left something out, or the picture has run dry while the stream went on. */
  trouble(now: number): void {
    this.#calmSince = now;
    if (now >= this.#settledAt) this.#troubles.push(now);
  }

  /** A picture has come `latenessMs` after its capture. */
  arrived(now: number, latenessMs: number): void {
    if (now - this.#bestSince > BEST_MS) {
      this.#bestBefore = this.#best;
      this.#best = Number.POSITIVE_INFINITY;
      this.#bestSince = now;
    }
    this.#best = Math.min(this.#best, latenessMs);
    this.#lateMs = latenessMs - Math.min(this.#best, this.#bestBefore);
    if (this.#lateMs <= LATE_MS) {
      this.#late = null;
      return;
    }
    this.#calmSince = now;
    if (now >= this.#settledAt) this.#late ??= { since: now, ms: this.#lateMs };
  }

  /** How much later the last picture came than it could. */
  get lateMs(): number {
    return this.#lateMs;
  }

  /** The connection is a new one: nothing is known of it, but what was learnt of larger pictures stays. */
  begin(now: number): void {
    this.#troubles = [];
    this.#late = null;
    this.#lateMs = 0;
    this.#calmSince = now;
    this.#best = Number.POSITIVE_INFINITY;
    this.#bestBefore = Number.POSITIVE_INFINITY;
    this.#bestSince = now;
  }

  /** Decides, for a stream with so many pictures. Looked at several times a second; true when the picture should change. */
  look(now: number, pictures: number): boolean {
    if (now - this.#lookedAt > SLEPT_MS) this.begin(now);
    this.#lookedAt = now;
    this.#steps = this.steps(pictures);
    this.#troubles = this.#troubles.filter((at) => at > now - TROUBLES_MS);
    // A climb that held for as long as it was waited for has succeeded.
    if (this.#climbedAt !== null && now - this.#climbedAt >= this.#climbMs) {
      this.#climbedAt = null;
      this.#climbMs = CLIMB_MS_FIRST;
    }
    if (this.#isTooLate(now) || this.#troubles.length >= TROUBLES_MAX) return this.#down(now, pictures);
    if (this.#steps === 0 || now - this.#calmSince < this.#climbMs) return false;
    this.#steps -= 1;
    this.#climbedAt = now;
    this.#settle(now);
    return true;
  }

  #isTooLate(now: number): boolean {
    if (this.#late === null || now - this.#late.since < LATE_FOR_MS) return false;
    return this.#lateMs >= FAR_TOO_LATE_MS || this.#lateMs - this.#late.ms >= LATER_BY_MS;
  }

  #down(now: number, pictures: number): boolean {
    this.#settle(now);
    if (this.#steps + 1 >= pictures) return false;
    if (this.#climbedAt !== null) this.#climbMs = Math.min(CLIMB_MS_MAX, this.#climbMs * 2);
    this.#climbedAt = null;
    this.#steps += 1;
    return true;
  }

  #settle(now: number): void {
    this.#troubles = [];
    this.#late = null;
    this.#calmSince = now;
    this.#settledAt = now + SETTLE_MS;
  }
}
