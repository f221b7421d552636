// Keeps a lost connection to itself while the picture may go on by itself: most switches are over before anybody could read of them.

/** Losses that are mended within this time are not spoken of. */
export const CALM_MS = 500;

export interface Loss {
  attempt: number;
  busy: boolean;
}

export class Composure {
  #loss: Loss | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly speak: (loss: Loss) => void,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** True when it is the first since all was well. */
  lost(loss: Loss, pictureMoves: boolean): boolean {
    const first = this.#loss === null;
    this.#loss = loss;
    if (this.#timer !== undefined) return first;
    if (first && pictureMoves) this.#timer = setTimeout(() => this.#speakUp(), CALM_MS);
    else this.speak(loss);
    return first;
  }

  /** All is well again. */
  mended(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#loss = null;
  }

  #speakUp(): void {
    this.#timer = undefined;
    if (this.#loss) this.speak(this.#loss);
  }
}
