// Reads the segments that a relay sends, each on a stream of its own, and passes their messages on in order.

import { FrameReader } from "../protocol/framing";
import { MESSAGE_BYTES_MAX } from "../protocol/limits";
import { decodeMediaMessage, type MediaMessage } from "../protocol/media_message";
import { SegmentOrder } from "./segment_order";
import { streamError } from "./stream_error";
import type { Step } from "./track_order";

/** Most streams that are read at a time: several segments of each of a stream's tracks. */
const STREAMS_MAX = 64;

type SegmentStream = ReadableStream<Uint8Array<ArrayBuffer>>;

export interface IncomingEvents {
  media(message: MediaMessage): void;
  /** What came is not what relays send. */
  malformed(): void;
}

export class IncomingSegments {
  readonly #order = new SegmentOrder();
  readonly #readers = new Map<number, ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>>();
  #begun = 0;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly events: IncomingEvents) {}

  /** Reads until `streams` end. */
  async readAll(streams: ReadableStream<SegmentStream>): Promise<void> {
    const reader = streams.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#over) return;
        if (this.#readers.size < STREAMS_MAX) void this.#read(value);
        else value.cancel(streamError("skipped")).catch(() => {});
      }
    } catch {
      // The session is over, which is told elsewhere.
    }
  }

  /** The relay sends these tracks from here on. */
  announced(tracks: readonly number[]): void {
    this.#take(this.#order.announced(tracks, performance.now()));
  }

  /** Passes nothing on any more. */
  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#readers.clear();
  }

  async #read(stream: SegmentStream): Promise<void> {
    const id = this.#begun++;
    const reader = stream.getReader();
    this.#readers.set(id, reader);
    const frames = new FrameReader(MESSAGE_BYTES_MAX);
    try {
      while (this.#readers.has(id)) {
        const { done, value } = await reader.read();
        if (done) break;
        this.#push(id, frames, value);
      }
    } catch {
      // The relay has given the segment up: a newer one goes on in its place.
    }
    if (this.#readers.delete(id)) this.#take(this.#order.ended(id, performance.now()));
  }

  #push(id: number, frames: FrameReader, bytes: Uint8Array<ArrayBuffer>): void {
    const read = frames.push(bytes);
    if (!read.ok) {
      this.#malformed();
      return;
    }
    for (const message of read.messages) {
      if (!this.#readers.has(id)) return;
      const decoded = decodeMediaMessage(message);
      if (decoded.ok) this.#take(this.#order.take(id, decoded, performance.now()));
      // A kind that these pages don't know is for newer ones.
      else if (decoded.error !== "unknown_kind") this.#malformed();
    }
  }

  #take({ pass, giveUp }: Step): void {
    for (const stream of giveUp) {
      this.#readers
        .get(stream)
        ?.cancel(streamError("stalled"))
        .catch(() => {});
      this.#readers.delete(stream);
    }
    for (const message of pass) if (!this.#over) this.events.media(message);
    this.#lookWhenDue();
  }

  #lookWhenDue(): void {
    clearTimeout(this.#timer);
    const due = this.#order.dueAtMs;
    if (due === null || this.#over) return;
    const look = () => this.#take(this.#order.look(performance.now()));
    this.#timer = setTimeout(look, Math.max(0, due - performance.now()));
  }

  #malformed(): void {
    if (!this.#over) this.events.malformed();
  }
}
