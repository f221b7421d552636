// When a viewer asks the directory again while all is well, and when while no media comes. Pure: times go in, decisions come out.

/** The share of a ticket's life after which it is renewed, and its spread: the viewers of one moment must not all ask in another. */
const RENEWED_AFTER = 0.5;
const SPREAD = 0.05;
/** Pauses between tries of a renewal that fails. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 30_000;
/** A relay that lives but sends nothing for this long may not be where the stream is any more. */
export const NO_MEDIA_MS_MAX = 5000;

/** When to renew the ticket. `random` is in [0, 1). */
export class Renewal {
  #dueAt = Number.POSITIVE_INFINITY;
  #failures = 0;

  /** A ticket that lives for `lifeMs` was given out just now. */
  begin(nowMs: number, lifeMs: number, random: number): void {
    this.#failures = 0;
    this.#dueAt = nowMs + lifeMs * (RENEWED_AFTER + SPREAD * (random - 0.5));
  }

  /** It could not be renewed; `waitMs`: what the directory asks for. */
  failed(nowMs: number, waitMs: number, random: number): void {
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#dueAt = nowMs + Math.max(waitMs, pause / 2 + (random * pause) / 2);
  }

  due(nowMs: number): boolean {
    return nowMs >= this.#dueAt;
  }
}

/** When to ask because no media comes: after five seconds, then less and less often. */
export class MediaSilence {
  #since: number;
  #waitMs = NO_MEDIA_MS_MAX;

  constructor(nowMs: number) {
    this.#since = nowMs;
  }

  /** Media came, or the page slept and could not know. */
  broken(nowMs: number): void {
    this.#since = nowMs;
    this.#waitMs = NO_MEDIA_MS_MAX;
  }

  /** Whether to ask now; the next time is further off then. */
  due(nowMs: number): boolean {
    if (nowMs - this.#since < this.#waitMs) return false;
    this.#since = nowMs;
    this.#waitMs = Math.min(RETRY_MS_MAX, this.#waitMs * 2);
    return true;
  }
}
