// What a screen reader is told of a sentence that keeps changing: new words at once, but other numbers in the same words only
// now and then. Pure.

/** A rate that climbs is told no more often than this. */
const NUMBERS_MS = 30_000;

export class Announcer {
  #words = "";
  #told = "";
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** What stands to be read out while this sentence holds. */
  tell(sentence: string, nowMs: number): string {
    const words = sentence.replace(/\d+(?:[.,]\d+)*(?: [kM]bit\/s)?/g, "#");
    if (words !== this.#words || (sentence !== this.#told && nowMs - this.#toldAtMs >= NUMBERS_MS)) {
      this.#words = words;
      this.#told = sentence;
      this.#toldAtMs = nowMs;
    }
    return this.#told;
  }
}
