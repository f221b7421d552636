// Decides for each chunk whether it is sent while the connection is slow. Nothing is queued here: what is on its way is the only
// queue, and it is bounded by leaving out whole ends of segments. Pure.

/** Behind by more than this, newer pictures are worth more than all of the old ones. A large key frame on a slow line may take a
 * second by itself, and relays confirm only four times a second. */
const BEHIND_MS_MAX = 1500;
/** A segment that is behind by more than this is not worth a key frame's waiting for it. Relays confirm four times a second, and a
 * key frame takes a moment: less is nothing unusual. */
const OVERTAKEN_MS_MAX = 700;
/** Sending goes on when no more than this is on its way. */
const CAUGHT_UP_MS = 400;
/** What a smaller picture stands in for is left out from here on, so that the smaller one gets through. */
const SPARE_BEHIND_MS_MAX = 1000;

export interface Offer {
  track: number;
  key: boolean;
  /** Viewers have something else when this is left out. */
  spare?: boolean;
  sound?: boolean;
}

/** What goes first where not all can go: viewers miss sound sooner than pictures, and least what something stands in for. */
export function urgencyOf({ sound, spare }: Offer): number {
  if (sound) return 2;
  return spare ? 0 : 1;
}

/** Whether this chunk makes what is on its way of its track useless, while the connection is behind by this much. Sound is not
 * given up: it takes little room, and a hole in it is heard. */
export function overtakes(offer: Offer, delayMs: number): boolean {
  return offer.key && !offer.sound && delayMs > OVERTAKEN_MS_MAX;
}

export class SendGate {
  #behind = false;
  #spareBehind = false;
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
    return this.#behind || this.#spareBehind;
  }

  /** A track has a new beginning: nothing of it is sent before its next key frame. */
  begin(track: number): void {
    this.#open.delete(track);
  }

  /** A fresh connection: every track begins at its next key frame. */
  reconnected(): void {
    this.#behind = false;
    this.#spareBehind = false;
    this.#open.clear();
  }

  /** The connection is behind by this much. Answers true once when it has caught up: a key frame is worth asking for then. */
  caughtUp(delayMs: number): boolean {
    if (!this.behind || delayMs > CAUGHT_UP_MS) return false;
    this.#behind = false;
    this.#spareBehind = false;
    return true;
  }

  /** Whether to send this chunk while the connection is behind by this much. */
  admit(offer: Offer, delayMs: number): boolean {
    if (delayMs > BEHIND_MS_MAX && !this.#behind) {
      if (!this.#spareBehind) this.#timesBehind += 1;
      this.#behind = true;
      this.#open.clear();
    }
    if (offer.spare && delayMs > SPARE_BEHIND_MS_MAX && !this.behind) {
      this.#spareBehind = true;
      this.#timesBehind += 1;
    }
    const shut = this.#behind || (offer.spare === true && this.#spareBehind);
    if (shut) this.#open.delete(offer.track);
    else if (offer.key) this.#open.add(offer.track);
    if (this.#open.has(offer.track)) return true;
    this.#dropped.set(offer.track, this.dropped(offer.track) + 1);
    return false;
  }
}
