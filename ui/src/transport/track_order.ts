// The segments of one track, each a stream of bytes, in their order: a segment's chunks are passed on before those of the next one,
// which waits for a while. Pure: streams are numbers, times go in.

import type { MediaMessage } from "../protocol/media_message";

/** How long a segment waits for the rest of the one before it, which was delayed or lost on its way: two retransmissions at 40 ms
 * of delay. Past it the picture goes on without that rest. The relay gives up what is late by as much. */
export const STALL_MS_MAX = 400;
/** How long a segment waits for one that is missing before it. Only one that was over at once can be under way unseen: most likely
 * the relay has left it out. */
export const GAP_MS_MAX = 100;
/** How long media wait for the relay's word on what it sends, which comes on another stream. */
export const UNANNOUNCED_MS_MAX = 1000;
/** Most bytes that wait: as much as a relay holds of a stream. */
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** Most segments that wait. Relays have fewer under way. */
export const WAITING_SEGMENTS_MAX = 8;

/** What follows from an event. */
export interface Step {
  /** To be passed on, in this order. */
  pass: MediaMessage[];
  /** Streams that are of no more use. */
  giveUp: number[];
}

interface Segment {
  stream: number;
  number: number;
  /** The capture time of its first chunk: tells a timeline that begins anew, with low numbers, from an old one. */
  capturedAtUs: number;
  sinceMs: number;
  /** What waits. */
  messages: MediaMessage[];
  bytes: number;
  /** Nothing more comes. */
  over: boolean;
}

export class TrackOrder {
  /** The newest init segment that was passed on. */
  #init: MediaMessage | null = null;
  /** The segment that is passed on as it comes; when it is over, the last one. */
  #present: Segment | null = null;
  /** Later ones, in their order. */
  #waiting: Segment[] = [];
  #passedAtMs = Number.NEGATIVE_INFINITY;
  #announced = false;

  constructor(readonly track: number) {}

  /** A stream brings a segment; `messages` are its init segment, if it has one, and its first chunk. */
  begin(stream: number, messages: MediaMessage[], nowMs: number): Step {
    const first = messages.at(-1)?.header;
    if (!first) return { pass: [], giveUp: [stream] };
    const { segment: number, capturedAtUs } = first;
    const bytes = messages.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#waiting.push({ stream, number, capturedAtUs, sinceMs: nowMs, messages, bytes, over: false });
    this.#waiting.sort((a, b) => a.capturedAtUs - b.capturedAtUs);
    return this.look(nowMs);
  }

  /** The stream brings another chunk. */
  goOn(stream: number, message: MediaMessage, nowMs: number): Step {
    const isPresent = this.#present?.stream === stream;
    const segment = isPresent ? this.#present : this.#waiting.find((each) => each.stream === stream);
    if (segment?.number !== message.header.segment) {
      const { pass, giveUp } = this.ended(stream, nowMs);
      return { pass, giveUp: [...giveUp, stream] };
    }
    if (isPresent) {
      this.#passedAtMs = nowMs;
      return { pass: [message], giveUp: [] };
    }
    segment.messages.push(message);
    segment.bytes += message.payload.length;
    return this.look(nowMs);
  }

  /** The stream brings no more: its segment is whole, or was given up. */
  ended(stream: number, nowMs: number): Step {
    for (const segment of [this.#present, ...this.#waiting]) if (segment?.stream === stream) segment.over = true;
    return this.look(nowMs);
  }

  /** The relay says that it sends this track, or that it does not. */
  announced(sent: boolean, nowMs: number): Step {
    this.#announced = sent;
    return this.look(nowMs);
  }

  /** Passes on what need not wait any longer. */
  look(nowMs: number): Step {
    const step: Step = { pass: [], giveUp: [] };
    for (let next = this.#waiting[0]; next && this.#turnAtMs(next) <= nowMs; next = this.#waiting[0]) {
      this.#waiting.shift();
      if (this.#present && !isLater(next, this.#present)) {
        if (!next.over) step.giveUp.push(next.stream);
        continue;
      }
      if (this.#present && !this.#present.over) step.giveUp.push(this.#present.stream);
      this.#present = next;
      this.#passedAtMs = nowMs;
      step.pass.push(...next.messages.filter((message) => this.#isNews(message)));
      next.messages = [];
      next.bytes = 0;
    }
    return step;
  }

  /** When to look though nothing has happened; null: not at all. */
  get dueAtMs(): number | null {
    const next = this.#waiting[0];
    return next ? this.#turnAtMs(next) : null;
  }

  /** When it is the turn of the first that waits. */
  #turnAtMs(next: Segment): number {
    const present = this.#present;
    if (this.#isFull || (present && !isLater(next, present))) return Number.NEGATIVE_INFINITY;
    if (!this.#announced) return next.sinceMs + UNANNOUNCED_MS_MAX;
    if (present && !present.over) return next.sinceMs + STALL_MS_MAX;
    const follows = present === null || next.number <= present.number + 1;
    return follows ? Number.NEGATIVE_INFINITY : this.#passedAtMs + GAP_MS_MAX;
  }

  get #isFull(): boolean {
    const bytes = this.#waiting.reduce((sum, segment) => sum + segment.bytes, 0);
    return bytes > WAITING_BYTES_MAX || this.#waiting.length > WAITING_SEGMENTS_MAX;
  }

  /** Whether it is anything but the init segment that is known. */
  #isNews(message: MediaMessage): boolean {
    if (message.header.kind !== "init") return true;
    const isNews = this.#init === null || !isSame(message, this.#init);
    if (isNews) this.#init = message;
    return isNews;
  }
}

function isLater(a: Segment, b: Segment): boolean {
  return a.number > b.number || a.capturedAtUs > b.capturedAtUs;
}

function isSame(a: MediaMessage, b: MediaMessage): boolean {
  return sameBytes(a.head, b.head) && sameBytes(a.payload, b.payload);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
