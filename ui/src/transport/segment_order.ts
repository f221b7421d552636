// Makes one sequence of messages of what comes as one stream of bytes per segment: of each track a segment comes before the next one,
// and nothing comes before the relay has announced its track, which it does on a stream of its own. Pure: streams are numbers, times
// go in.

import type { MediaMessage } from "../protocol/media_message";
import { type Step, TrackOrder } from "./track_order";

/** Most tracks of a stream. */
const TRACKS_MAX = 8;

export class SegmentOrder {
  readonly #tracks = new Map<number, TrackOrder>();
  /** The track of each stream that has brought a chunk and is not over. */
  readonly #trackOf = new Map<number, TrackOrder>();
  /** The init segments of streams that have brought nothing else. */
  readonly #inits = new Map<number, MediaMessage>();
  #announced: ReadonlySet<number> = new Set();

  /** A stream has brought a message: an init segment, then chunks of one segment of that track. */
  take(stream: number, message: MediaMessage, nowMs: number): Step {
    const known = this.#trackOf.get(stream);
    if (message.header.kind === "init") {
      if (known || this.#inits.has(stream)) return this.#refuse(stream, nowMs);
      this.#inits.set(stream, message);
      return { pass: [], giveUp: [] };
    }
    const { track: number } = message.header;
    if (known)
      return known.track === number ? this.#done(known.goOn(stream, message, nowMs)) : this.#refuse(stream, nowMs);
    const init = this.#inits.get(stream);
    this.#inits.delete(stream);
    const track = this.#track(number, nowMs);
    if (!track || (init && init.header.track !== number)) return { pass: [], giveUp: [stream] };
    this.#trackOf.set(stream, track);
    return this.#done(track.begin(stream, init ? [init, message] : [message], nowMs));
  }

  /** A stream has ended: its segment is whole, or was given up. */
  ended(stream: number, nowMs: number): Step {
    this.#inits.delete(stream);
    const track = this.#trackOf.get(stream);
    this.#trackOf.delete(stream);
    return track ? this.#done(track.ended(stream, nowMs)) : { pass: [], giveUp: [] };
  }

  /** The relay sends these tracks from here on. */
  announced(tracks: readonly number[], nowMs: number): Step {
    this.#announced = new Set(tracks);
    return this.#each((track) => track.announced(this.#announced.has(track.track), nowMs));
  }

  /** Time has passed. */
  look(nowMs: number): Step {
    return this.#each((track) => track.look(nowMs));
  }

  /** When to look though nothing has happened; null: not at all. */
  get dueAtMs(): number | null {
    const due = [...this.#tracks.values()].map((track) => track.dueAtMs).filter((at) => at !== null);
    return due.length > 0 ? Math.min(...due) : null;
  }

  #track(number: number, nowMs: number): TrackOrder | null {
    const known = this.#tracks.get(number);
    if (known || this.#tracks.size >= TRACKS_MAX) return known ?? null;
    const track = new TrackOrder(number);
    track.announced(this.#announced.has(number), nowMs);
    this.#tracks.set(number, track);
    return track;
  }

  /** A stream that is not as streams are. */
  #refuse(stream: number, nowMs: number): Step {
    const { pass, giveUp } = this.ended(stream, nowMs);
    return { pass, giveUp: [...giveUp, stream] };
  }

  #each(does: (track: TrackOrder) => Step): Step {
    const steps = [...this.#tracks.values()].map(does);
    return this.#done({ pass: steps.flatMap(({ pass }) => pass), giveUp: steps.flatMap(({ giveUp }) => giveUp) });
  }

  #done(step: Step): Step {
    for (const stream of step.giveUp) this.#trackOf.delete(stream);
    return step;
  }
}
