// The search for the most that is still good, by as few tries as possible: each costs seconds. Pure: what is tried is the caller's.

export interface SearchOptions {
  /** Tried first. */
  first: number;
  /** The factor between two tries until one is bad. */
  growth: number;
  /** Ends when what is bad is at most so many times what is good. */
  precision: number;
  /** Never tries more. */
  max: number;
  /** Ends after so many tries, however exact it is by then. */
  triesMax: number;
}

export class Search {
  readonly #options: SearchOptions;
  #good = 0;
  #bad = Number.POSITIVE_INFINITY;
  #tries = 0;
  #next: number | null;

  constructor(options: SearchOptions) {
    this.#options = options;
    this.#next = Math.min(options.first, options.max);
  }

  /** What to try; null when the search is over. */
  get next(): number | null {
    return this.#next;
  }

  /** The most that was good; 0 when nothing was. */
  get best(): number {
    return this.#good;
  }

  /** How the try came out. */
  tell(isGood: boolean): void {
    if (this.#next === null) return;
    if (isGood) this.#good = this.#next;
    else this.#bad = this.#next;
    this.#tries += 1;
    this.#next = this.#tries < this.#options.triesMax ? this.#following() : null;
  }

  #following(): number | null {
    const { growth, precision, max } = this.#options;
    const [good, bad] = [this.#good, this.#bad];
    if (bad === Number.POSITIVE_INFINITY) return good >= max ? null : Math.min(max, Math.round(good * growth));
    if (good === 0) return bad > 1 ? Math.max(1, Math.floor(bad / growth)) : null;
    if (bad / good <= precision || bad - good <= 1) return null;
    return Math.round(Math.sqrt(good * bad));
  }
}
