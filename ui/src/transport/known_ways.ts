// Remembers where WebTransport was of no use, so that a network without UDP costs one head start and not one for each connection.
// For as long as the page lives, and for a while only: networks change. Pure: times go in.

/** After a silent failure no relay is tried for this long; each further one in a row doubles it. */
const SILENT_MS_MIN = 60_000;
const SILENT_MS_MAX = 30 * 60_000;
/** A relay that has refused, or has broken down, is not tried for this long. */
const REFUSED_MS = 5 * 60_000;
/** Most relays that are remembered: more than a page goes through in that time. */
const REFUSED_MAX = 32;

export class KnownWays {
  #silentUntilMs = Number.NEGATIVE_INFINITY;
  #silences = 0;
  readonly #refusedUntilMs = new Map<string, number>();

  /** Whether this address may be tried. */
  mayTry(address: string, nowMs: number): boolean {
    return nowMs >= this.#silentUntilMs && nowMs >= (this.#refusedUntilMs.get(address) ?? nowMs);
  }

  /** Nothing came back where another way was open: most likely the network lets no UDP through, to whomever. */
  wasSilent(nowMs: number): void {
    const pause = Math.min(SILENT_MS_MAX, SILENT_MS_MIN * 2 ** this.#silences);
    this.#silences += 1;
    this.#silentUntilMs = nowMs + pause;
  }

  /** This relay refused, or went silent after it had accepted. */
  refused(address: string, nowMs: number): void {
    this.#refusedUntilMs.delete(address);
    this.#refusedUntilMs.set(address, nowMs + REFUSED_MS);
    for (const oldest of this.#refusedUntilMs.keys()) {
      if (this.#refusedUntilMs.size <= REFUSED_MAX) break;
      this.#refusedUntilMs.delete(oldest);
    }
  }

  /** UDP gets through, in time or not. */
  opened(): void {
    this.#silences = 0;
    this.#silentUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** The network is another one. */
  forget(): void {
    this.#silentUntilMs = Number.NEGATIVE_INFINITY;
    this.#silences = 0;
    this.#refusedUntilMs.clear();
  }
}
