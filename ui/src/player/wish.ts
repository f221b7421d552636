// Which picture a viewer asks a relay for, and what a relay's words about its tracks come to. Pure but for what is sent.

import type { MediaHeader } from "../protocol/media_message";
import type { FromViewer, ToViewer, TrackInfo } from "../protocol/messages";

export type Watching = Extract<ToViewer, { type: "watching" }>;

/** A relay that can be asked. */
export interface Asked {
  /** The picture that was asked for since the relay last said what it sends. */
  asked: number | null;
  send(message: FromViewer): void;
}

export class Wish {
  /** The stream's tracks as they were told last. */
  #tracks: TrackInfo[] = [];

  constructor(
    /** The number of the picture that is wanted of these tracks; null where there is none. */
    private readonly wanted: (tracks: TrackInfo[]) => number | null,
  ) {}

  /** Asks a relay that has not said yet what there is, so that a slow line is not sent the full picture first. */
  foretell(relay: Asked): void {
    const wanted = this.wanted(this.#tracks);
    // Relays begin with the first one by themselves.
    const first = this.#tracks.find(({ kind }) => kind === "video")?.track;
    if (wanted !== null && wanted !== first) this.#send(relay, wanted);
  }

  /** The relay says what it sends. */
  told(relay: Asked, watching: Watching): void {
    relay.asked = null;
    this.#tracks = watching.tracks;
    this.ask(relay, watching);
  }

  /** Asks for the picture that is wanted, where it does not come already. */
  ask(relay: Asked, { tracks, selected }: Watching): void {
    const wanted = this.wanted(tracks);
    const coming = relay.asked ?? selected.find((track) => track === wanted) ?? null;
    if (wanted === null || coming === wanted) return;
    this.#send(relay, wanted);
  }

  /** Whether the wanted picture comes. */
  isMet({ tracks, selected }: Watching): boolean {
    const wanted = this.wanted(tracks);
    return wanted === null || selected.includes(wanted);
  }

  /** A picture that comes until the wanted one begins. */
  isStandIn({ tracks }: Watching, { track }: MediaHeader): boolean {
    const wanted = this.wanted(tracks);
    if (wanted === null || track === wanted) return false;
    return tracks.some((info) => info.track === track && info.kind === "video");
  }

  #send(relay: Asked, track: number): void {
    relay.asked = track;
    relay.send({ type: "select_track", track });
  }
}

/** Whether both say the same of the tracks, in whatever order. */
export function sameTracks(a: Watching, b: Watching): boolean {
  return tracksOf(a) === tracksOf(b);
}

/** Whether nothing but the choice of tracks has changed. */
export function isSwitch(before: Watching, after: Watching): boolean {
  const sameStream = JSON.stringify(before.tracks) === JSON.stringify(after.tracks) && before.epoch === after.epoch;
  return sameStream && !sameTracks(before, after);
}

function tracksOf({ tracks, selected }: Watching): string {
  return JSON.stringify([tracks, [...selected].sort((a, b) => a - b)]);
}
