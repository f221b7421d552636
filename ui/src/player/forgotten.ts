// When a stream that the directory does not know has ended. A directory that starts again with an empty disk knows of no stream
// until relays and broadcasters have told it; a viewer that believed it at once would leave a stream that goes on. Pure.

/** How long the directory must keep saying so while nothing plays: longer than a stream waits for its broadcaster, who brings it
 * back. */
export const FORGOTTEN_MS_MAX = 12_000;

export class Forgotten {
  #since: number | null = null;

  /** The directory knows the stream, or media has come. */
  heardOf(): void {
    this.#since = null;
  }

  /** The directory does not know it; true when it is to be believed. */
  unknown(now: number): boolean {
    this.#since ??= now;
    return now - this.#since >= FORGOTTEN_MS_MAX;
  }
}
