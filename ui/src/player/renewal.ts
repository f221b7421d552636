// When a viewer asks the directory again while all is well, and when while no media comes. Pure: times go in, decisions come out.

import { Quiet } from "../protocol/quiet";

/** The share of a ticket's life after which it is renewed, and its spread: the viewers of one moment must not all ask in another. */
const RENEWED_AFTER = 0.5;
const SPREAD = 0.05;
/** How much later than it may be, at most, a longer list of relays is asked for: as a share of that time, for the same reason. */
const ASK_AGAIN_SPREAD = 0.5;
/** Pauses between tries of a renewal that fails. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 30_000;
/** A relay that lives but sends nothing for this long may not be where the stream is any more. */
export const NO_MEDIA_MS_MAX = 2000;
/** One that says that the broadcaster is away may know it only because the broadcaster has gone elsewhere. */
export const AWAY_MS_MAX = 1000;
/** Pause between two questions, and for how long they are that close: longer than a stream waits for its broadcaster. */
const ASKED_AGAIN_MS = 2000;
const OFTEN_MS = 14_000;

/** When to renew the ticket. `random` is in [0, 1). */
export class Renewal {
  #dueAt = Number.POSITIVE_INFINITY;
  #failures = 0;

  /** A ticket that lives for `lifeMs` was given out just now; `askAgainMs`: when the directory has more relays to name, if so. */
  begin(nowMs: number, lifeMs: number, random: number, askAgainMs: number | null = null): void {
    this.#failures = 0;
    const dueMs = lifeMs * (RENEWED_AFTER + SPREAD * (random - 0.5));
    const againMs = askAgainMs === null ? dueMs : askAgainMs * (1 + ASK_AGAIN_SPREAD * random);
    this.#dueAt = nowMs + Math.min(dueMs, againMs);
  }

  /** It could not be renewed; `waitMs`: what the directory asks for. */
  failed(nowMs: number, waitMs: number, random: number): void {
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#dueAt = nowMs + Math.max(waitMs, pause / 2 + (random * pause) / 2);
  }

  /** Time has gone by that the clock behind `nowMs` does not show. */
  slept(ms: number): void {
    this.#dueAt -= ms;
  }

  due(nowMs: number): boolean {
    return nowMs >= this.#dueAt;
  }
}

/** When to ask because no media comes: soon and often for as long as a stream may outlive its broadcaster, then less and less. */
export class MediaSilence {
  readonly #quiet: Quiet;
  #nextMs = NO_MEDIA_MS_MAX;
  #pauseMs = ASKED_AGAIN_MS;
  #awaySinceMs: number | null = null;

  constructor(nowMs: number) {
    this.#quiet = new Quiet(nowMs);
  }

  /** Media came. */
  broken(nowMs: number): void {
    this.#quiet.broken(nowMs);
    this.#nextMs = NO_MEDIA_MS_MAX;
    this.#pauseMs = ASKED_AGAIN_MS;
    this.#awaySinceMs = null;
  }

  /** The relay says whether the broadcaster is there. */
  broadcaster(present: boolean, nowMs: number): void {
    if (present) this.#awaySinceMs = null;
    else this.#awaySinceMs ??= this.#quiet.look(nowMs);
  }

  /** Whether to ask now. Looked at several times a second. */
  due(nowMs: number): boolean {
    const quietMs = this.#quiet.look(nowMs);
    const awayAtMs = this.#awaySinceMs === null ? Number.POSITIVE_INFINITY : this.#awaySinceMs + AWAY_MS_MAX;
    if (quietMs < Math.min(this.#nextMs, awayAtMs)) return false;
    this.#awaySinceMs = null;
    this.#nextMs = quietMs + this.#pauseMs;
    if (quietMs >= OFTEN_MS) this.#pauseMs = Math.min(RETRY_MS_MAX, this.#pauseMs * 2);
    return true;
  }
}
