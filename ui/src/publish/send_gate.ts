// Decides for each chunk whether it is sent while the connection is slow. Nothing is queued here: what the socket has not sent
// yet is the only queue, and it is bounded by leaving out whole ends of segments. Pure.

/** Behind by more than this many milliseconds of media, newer pictures are worth more than all of the old ones. */
const BEHIND_MS_MAX = 800;
/** Sending goes on when the socket is down to this share of the bound. */
const RESUME_SHARE = 0.25;
/** The bound for low bit rates: one large key frame has to fit. */
const BYTES_MIN = 256 * 1024;
/** The bound for high bit rates: what a relay takes as one message. */
const BYTES_MAX = 4 * 1024 * 1024;

export interface Offer {
  track: number;
  key: boolean;
}

export class SendGate {
  #behindBytesMax: number;
  #behind = false;
  #open = new Set<number>();
  #dropped = 0;
  #timesBehind = 0;

  constructor(bitsPerSecond: number) {
    const bytes = (bitsPerSecond / 8) * (BEHIND_MS_MAX / 1000);
    this.#behindBytesMax = Math.min(BYTES_MAX, Math.max(BYTES_MIN, bytes));
  }

  /** Chunks that were left out. */
  get dropped(): number {
    return this.#dropped;
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

  /** The socket holds this many unsent bytes. Answers true once when it has caught up: a key frame is worth asking for. */
  caughtUp(bufferedBytes: number): boolean {
    if (!this.#behind || bufferedBytes > this.#behindBytesMax * RESUME_SHARE) return false;
    this.#behind = false;
    return true;
  }

  /** Whether to send this chunk while the socket holds this many unsent bytes. */
  admit(offer: Offer, bufferedBytes: number): boolean {
    if (bufferedBytes > this.#behindBytesMax && !this.#behind) {
      this.#behind = true;
      this.#timesBehind += 1;
      this.#open.clear();
    }
    if (offer.key && !this.#behind) this.#open.add(offer.track);
    if (this.#open.has(offer.track)) return true;
    this.#dropped += 1;
    return false;
  }
}
