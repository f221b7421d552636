// Holds an encoder to the bits it was given. A picture full of motion takes more than it was asked to, whatever is configured: what
// was taken too much is paid back in frames that are left out. Pure.

/** So much of a second's bits may be owed before frames are left out: a frame or two, not a key frame. */
const OWED_MS_MAX = 250;
/** No more is ever owed than this, or one large key frame would stop the picture. */
const OWED_MS_LIMIT = 1_000;

export class BitBudget {
  /** In bits. */
  #owed = 0;
  #atMs: number | undefined;

  /** One picture of so many bytes has come out, at so many bits per second. */
  spent(bytes: number, bitrate: number, nowMs: number): void {
    this.#pay(bitrate, nowMs);
    this.#owed = Math.min(this.#owed + bytes * 8, (bitrate * OWED_MS_LIMIT) / 1000);
  }

  /** Whether there is room for another picture. */
  allows(bitrate: number, nowMs: number): boolean {
    this.#pay(bitrate, nowMs);
    return this.#owed <= (bitrate * OWED_MS_MAX) / 1000;
  }

  #pay(bitrate: number, nowMs: number): void {
    const passedMs = nowMs - (this.#atMs ?? nowMs);
    this.#owed = Math.max(0, this.#owed - (bitrate * passedMs) / 1000);
    this.#atMs = nowMs;
  }
}
