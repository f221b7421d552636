// Which of a stream's pictures this viewer wants, as a person has chosen it or as the connection bears it. Outlives connections,
// relays and the broadcaster's own comings and goings. Pure: times go in, decisions come out.

import type { TrackInfo } from "../protocol/messages";
import { AutomaticPicture } from "./automatic_picture";
import { nearestTo, type PictureChoice, picturesOf } from "./picture";

/** A smaller picture has not come this long after it was wanted, longer than any segment, and what comes is this late: the line is
 * full of the larger one, and a new connection brings the smaller one sooner. */
export const STUCK_MS = 2500;
export const STUCK_LATE_MS = 1500;
/** A relay that begins with the large picture all the same is not asked again and again. */
export const ANEW_PAUSE_MS = 30_000;

/** What there is to choose from, and what is chosen. */
export interface RenditionFacts {
  /** Largest first. */
  pictures: readonly TrackInfo[];
  /** The number of the picture that was chosen by hand. */
  chosen: number | "automatic";
  /** The number of the picture that comes. */
  shown: number;
  /** The connection bears no larger one just now. */
  reduced: boolean;
}

export class Renditions {
  readonly #automatic: AutomaticPicture;
  #choice: PictureChoice;
  #pictures: TrackInfo[] = [];
  #selected: readonly number[] = [];
  /** Since when a smaller picture is wanted than comes. */
  #smallerSince: number | null = null;
  #anewAt = Number.NEGATIVE_INFINITY;

  constructor(
    choice: PictureChoice,
    private readonly playable: (track: TrackInfo) => boolean,
    now: number,
  ) {
    this.#choice = choice;
    this.#automatic = new AutomaticPicture(now);
  }

  /** Null where there is nothing to choose. */
  get facts(): RenditionFacts | null {
    const shown = this.#shown;
    if (this.#pictures.length < 2 || !shown) return null;
    const automatic = this.#choice === "automatic";
    const chosen = automatic ? "automatic" : (this.#wanted(this.#pictures)?.track ?? "automatic");
    return { pictures: this.#pictures, chosen, shown: shown.track, reduced: automatic && shown !== this.#pictures[0] };
  }

  /** The number of the picture that this viewer wants of these; null where there is none. */
  wanted(tracks: readonly TrackInfo[]): number | null {
    return this.#wanted(picturesOf(tracks, this.playable))?.track ?? null;
  }

  choose(choice: PictureChoice, now: number): void {
    this.#choice = choice;
    this.#automatic.begin(now);
  }

  /** What a relay sends; `fresh` over a new connection. */
  watching(tracks: readonly TrackInfo[], selected: readonly number[], fresh: boolean, now: number): void {
    this.#pictures = picturesOf(tracks, this.playable);
    this.#selected = selected;
    this.#smallerSince = null;
    if (fresh) this.#automatic.begin(now);
  }

  /** The relay has left something out, or the picture has run dry while the stream went on. */
  trouble(now: number): void {
    this.#automatic.trouble(now);
  }

  /** A chunk of `track` has come so long after its capture. */
  arrived(now: number, track: number, latenessMs: number): void {
    if (this.#pictures.some((picture) => picture.track === track)) this.#automatic.arrived(now, latenessMs);
  }

  /** Looked at several times a second; true when another picture is wanted than before. */
  look(now: number): boolean {
    // A choice by hand holds, whatever the connection bears.
    return this.#choice === "automatic" && this.#automatic.look(now, this.#pictures.length);
  }

  /** Whether only a new connection brings the picture that is wanted; says so once in a while. */
  isStuck(now: number): boolean {
    const wanted = this.#wanted(this.#pictures);
    const shown = this.#shown;
    if (!wanted || !shown || this.#pictures.indexOf(wanted) <= this.#pictures.indexOf(shown)) {
      this.#smallerSince = null;
      return false;
    }
    this.#smallerSince ??= now;
    if (now - this.#smallerSince < STUCK_MS || this.#automatic.lateMs < STUCK_LATE_MS) return false;
    if (now - this.#anewAt < ANEW_PAUSE_MS) return false;
    this.#anewAt = now;
    return true;
  }

  get #shown(): TrackInfo | undefined {
    return this.#pictures.find(({ track }) => this.#selected.includes(track));
  }

  #wanted(pictures: readonly TrackInfo[]): TrackInfo | null {
    if (this.#choice !== "automatic") return nearestTo(this.#choice.height, pictures);
    return pictures[this.#automatic.steps(pictures.length)] ?? null;
  }
}
