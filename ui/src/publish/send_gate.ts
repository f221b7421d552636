// Decides for each chunk whether it is sent while the connection is slow. Nothing is queued here: what is on its way is the only
// queue, and it is bounded by leaving out whole ends of segments. Pure.

/** Behind by more than this, newer pictures are worth more than all of the old ones. A large key frame on a slow line may take a
 * second by itself, and relays confirm only four times a second. */
const BEHIND_MS_MAX = 1500;
/** Sending goes on when no more than this is on its way. */
const CAUGHT_UP_MS = 400;

export interface Offer {
  track: number;
  key: boolean;
}

export class SendGate {
  #behind = false;
  #open = new Set<number>();
  #dropped = new Map<number, number>();
  #timesBehind = 0;

  /** Chunks of a track that were left out. */
  dropped(track: number): number {
    return this.#dropped.get(track) ?? 0;
  }

  /** How often the rest of a segment was left out. */
  get timesBehind(): number {
    return this.#timesBehind;
  }

  /** Whether the connection is too slow at the moment. */
  get behind(): boolean {
    return this.#behind;
  }

  /** A fresh connection: every track begins at its next key frame. */
  reconnected(): void {
    this.#behind = false;
    this.#open.clear();
  }

  /** The connection is behind by this much. Answers true once when it has caught up: a key frame is worth asking for then. */
  caughtUp(delayMs: number): boolean {
    if (!this.#behind || delayMs > CAUGHT_UP_MS) return false;
    this.#behind = false;
    return true;
  }

  /** Whether to send this chunk while the connection is behind by this much. */
  admit(offer: Offer, delayMs: number): boolean {
    if (delayMs > BEHIND_MS_MAX && !this.#behind) {
      this.#behind = true;
      this.#timesBehind += 1;
      this.#open.clear();
    }
    if (offer.key && !this.#behind) this.#open.add(offer.track);
    if (this.#open.has(offer.track)) return true;
    this.#dropped.set(offer.track, this.dropped(offer.track) + 1);
    return false;
  }
}
