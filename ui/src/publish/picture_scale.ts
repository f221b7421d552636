// How large the full picture is sent on a slow line. Text that stands still costs next to nothing and stays sharp; a picture full of
// motion would be a slide show at its full size, and moves at a smaller one. Pure.

const SCALES = [1, 0.75, 0.5, 0.35] as const;
/** It is judged this often: long enough for a key frame and what follows it. */
const JUDGED_MS = 3_000;
/** More frames than this share were left out: it moves too much for its size. */
const LEFT_OUT_MAX = 0.4;
/** Where it moves well, so many times the bits of before allow the next size. */
const MORE_BITS = 1.8;
const LEFT_OUT_FEW = 0.1;
/** It takes no more than this share of its bits, three times in a row: it stands still. */
const STILL_SHARE = 0.3;
const STILL_TIMES = 3;

export class PictureScale {
  #step = 0;
  #sent = 0;
  #leftOut = 0;
  #bytes = 0;
  #sinceMs: number | undefined;
  #bitrateBefore = 0;
  #still = 0;

  /** Of the sides' full length. */
  get scale(): number {
    return SCALES[this.#step] ?? 1;
  }

  /** One captured frame was encoded, or left out because there were no bits for it. */
  frame(leftOut: boolean): void {
    if (leftOut) this.#leftOut += 1;
    else this.#sent += 1;
  }

  /** So much has come of it. */
  spent(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Time passes; several times a second. `bitrate`: what it may take; `slow`: less than was chosen. */
  look(bitrate: number, slow: boolean, nowMs: number): void {
    this.#sinceMs ??= nowMs;
    const passedMs = nowMs - this.#sinceMs;
    if (slow && passedMs < JUDGED_MS) return;
    const leftOut = this.#leftOut / Math.max(1, this.#leftOut + this.#sent);
    const share = (this.#bytes * 8000) / Math.max(1, passedMs) / bitrate;
    this.#sinceMs = nowMs;
    this.#sent = this.#leftOut = this.#bytes = 0;
    if (!slow) this.#go(0, bitrate);
    else if (leftOut > LEFT_OUT_MAX) this.#go(this.#step + 1, bitrate);
    else if (this.#step > 0) this.#judgeLarger(leftOut, share, bitrate);
  }

  #judgeLarger(leftOut: number, share: number, bitrate: number): void {
    this.#still = leftOut === 0 && share < STILL_SHARE ? this.#still + 1 : 0;
    const hasMore = leftOut < LEFT_OUT_FEW && bitrate >= MORE_BITS * this.#bitrateBefore;
    if (hasMore || this.#still >= STILL_TIMES) this.#go(this.#step - 1, bitrate);
  }

  #go(step: number, bitrate: number): void {
    this.#still = 0;
    const next = Math.min(step, SCALES.length - 1);
    if (next === this.#step) return;
    this.#step = next;
    this.#bitrateBefore = bitrate;
  }
}

/** A size that is so much of another, even as 4:2:0 needs. */
export function scaledSize(size: { width: number; height: number }, scale: number): { width: number; height: number } {
  const even = (length: number) => Math.max(2, Math.round((length * scale) / 2) * 2);
  return { width: even(size.width), height: even(size.height) };
}
