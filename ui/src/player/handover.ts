// Joins what two relays send of one stream into one: nothing twice, nothing lost, by the numbers in the headers alone. Each track
// changes over by itself: the old relay's chunks up to where the new one begins, the new one's from there on. Pure.

import type { MediaMessage } from "../protocol/media_message";

export interface Place {
  segment: number;
  chunk: number;
}

function isBefore(a: Place, b: Place): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.chunk < b.chunk);
}

/** Where each track of a stream has come to. */
export class Course {
  readonly #last = new Map<number, Place>();
  readonly #inits = new Map<number, MediaMessage>();

  passed(message: MediaMessage): void {
    const { kind, track, segment, chunk } = message.header;
    if (kind === "init") this.#inits.set(track, message);
    else this.#last.set(track, { segment, chunk });
  }

  last(track: number): Place | null {
    return this.#last.get(track) ?? null;
  }

  /** Whether this init segment is the one that is in force. */
  knows(init: MediaMessage): boolean {
    const known = this.#inits.get(init.header.track);
    return known !== undefined && sameBytes(known.head, init.head) && sameBytes(known.payload, init.payload);
  }
}

/** The new relay's messages of one track, as long as the old one is not done. */
interface Waiting {
  first: Place | null;
  messages: MediaMessage[];
}

export class Handover {
  readonly #waiting = new Map<number, Waiting>();
  readonly #changed = new Set<number>();

  constructor(private readonly course: Course) {}

  /** Whether the new relay has delivered anything. */
  get begun(): boolean {
    return this.#changed.size > 0 || [...this.#waiting.values()].some(({ first }) => first !== null);
  }

  /** Whether any track comes from the new relay. */
  get underWay(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether all of these tracks come from the new relay. */
  complete(tracks: readonly number[]): boolean {
    return this.#changed.size > 0 && tracks.every((track) => this.#changed.has(track));
  }

  /** What to pass on when the old relay has sent this. */
  fromOld(message: MediaMessage): MediaMessage[] {
    const { kind, track, segment, chunk } = message.header;
    if (this.#changed.has(track)) return [];
    const waiting = this.#waiting.get(track);
    // The old relay has come to where the new one begins; one that is further goes on until the new one has caught up.
    const chunkWaits = waiting?.messages.some(({ header }) => header.kind === "chunk");
    if (kind === "chunk" && chunkWaits && waiting?.first && !isBefore({ segment, chunk }, waiting.first)) {
      return this.#change(track);
    }
    return this.#pass([message]);
  }

  /** What to pass on when the new relay has sent this. */
  fromNew(message: MediaMessage): MediaMessage[] {
    const { kind, track, segment, chunk } = message.header;
    if (this.#changed.has(track)) return this.#pass(this.#news(message) ? [message] : []);
    if (kind === "init" && this.course.knows(message)) return [];
    let waiting = this.#waiting.get(track);
    if (!waiting) {
      waiting = { first: null, messages: [] };
      this.#waiting.set(track, waiting);
    }
    waiting.messages.push(message);
    if (kind === "init") return [];
    const place = { segment, chunk };
    waiting.first ??= place;
    const last = this.course.last(track);
    if (last === null) return this.#change(track);
    // Known already: the old relay is further, and goes on until the new one has caught up.
    if (!isBefore(last, place)) {
      waiting.messages.pop();
      return [];
    }
    const joined = !isBefore(last, waiting.first) || (last.segment === segment && last.chunk + 1 === chunk);
    return joined ? this.#change(track) : [];
  }

  /** The old relay sends no more: what waits is passed on. */
  end(): MediaMessage[] {
    return [...this.#waiting.keys()].flatMap((track) => this.#change(track));
  }

  #change(track: number): MediaMessage[] {
    this.#changed.add(track);
    const waiting = this.#waiting.get(track)?.messages ?? [];
    this.#waiting.delete(track);
    return this.#pass(waiting.filter((message) => this.#news(message)));
  }

  #news(message: MediaMessage): boolean {
    if (message.header.kind === "init") return !this.course.knows(message);
    const last = this.course.last(message.header.track);
    return last === null || isBefore(last, message.header);
  }

  #pass(messages: MediaMessage[]): MediaMessage[] {
    for (const message of messages) this.course.passed(message);
    return messages;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
