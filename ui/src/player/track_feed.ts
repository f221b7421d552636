// What arrived of one track: its init segment, the segment since the newest key chunk (to fill a new MediaSource at once), and
// how far it has come. Decides for each chunk whether it belongs into the buffer; a chunk seen before (after a reconnect) does not.

import type { MediaHeader } from "../protocol/media_message";
import type { TrackInfo } from "../protocol/messages";
import { type InitFacts, readChunkTimes, readInit, renumber, withLastDuration } from "./fmp4";

/** Chromium drops everything after a gap of more than twice the last sample's duration, and a still screen has long gaps: each
 * picture is declared to last this long. The next one cuts it short. */
const DECLARED_S = 1;
/** Most of a segment that is kept for a new MediaSource. */
const SEGMENT_BYTES_MAX = 16 * 1024 * 1024;
/** A later capture with an earlier media time, by more than this: the broadcaster started its timeline anew. */
const BACK_S = 0.5;
const LATER_US = 200_000;
/** Frames whose capture time is remembered, to tell the latency of the one on the screen. */
const CAPTURES_MAX = 300;

export type Taken =
  | { kind: "ignored" }
  /** Times in seconds; `edge` is the last moment that can be shown now. */
  | { kind: "chunk"; bytes: Uint8Array; time: number; edge: number }
  /** The timeline began anew: make a new buffer, then take the chunk again. */
  | { kind: "restarted" };

const IGNORED: Taken = { kind: "ignored" };

export class TrackFeed {
  init: Uint8Array | null = null;
  facts: InitFacts | null = null;
  /** The last moment that can be shown, in seconds; null before the first chunk. */
  edge: number | null = null;
  /** Where the appended media begins, in seconds. */
  start: number | null = null;
  #segment: Uint8Array[] = [];
  #segmentBytes = 0;
  #capturedAtUs = -1;
  /** The edge without silence that stands in for sound. */
  #arrivedEdge = 0;
  #needsKey = true;
  #captures: { time: number; capturedAtMs: number }[] = [];

  constructor(
    readonly info: TrackInfo,
    /** Declare long pictures; see `DECLARED_S`. */
    private readonly stretch: boolean,
    /** The track ID that its bytes get, to go into the buffer of another track: engines take a track by its ID for the same. */
    private readonly as: number | null = null,
  ) {}

  /** The track ID of its bytes in the buffer. */
  get bufferId(): number {
    return this.as ?? this.facts?.trackId ?? 0;
  }

  /** The init segment as it goes into the buffer. */
  get bufferInit(): Uint8Array {
    const init = this.init?.slice() ?? new Uint8Array();
    if (this.as !== null) renumber(init, this.as);
    return init;
  }

  get sound(): boolean {
    return this.info.kind === "sound";
  }

  /** Chunks since the newest key chunk, oldest first. */
  get segment(): readonly Uint8Array[] {
    return this.#segment;
  }

  /** "new" when it is not the init segment that is already known. */
  takeInit(payload: Uint8Array): "same" | "new" | "broken" {
    if (this.init && sameBytes(this.init, payload)) return "same";
    const facts = readInit(payload);
    if (!facts) return "broken";
    this.init = payload;
    this.facts = facts;
    this.restart();
    return "new";
  }

  take(header: MediaHeader, payload: Uint8Array): Taken {
    if (!this.facts || header.sealed) return IGNORED;
    if (this.#needsKey && !header.key && !this.sound) return IGNORED;
    const times = readChunkTimes(payload, this.facts);
    if (!times) return IGNORED;
    const time = times.firstTime / this.facts.timescale;
    const edge = (this.sound ? times.endTime : times.lastTime) / this.facts.timescale;
    if (this.edge !== null && edge <= this.edge) {
      // Seen before, or covered by silence that stood in for it; unless it was captured later than what is there.
      return this.beganAnew(header.capturedAtUs, edge) ? { kind: "restarted" } : IGNORED;
    }

    const stretched = this.stretch && !this.sound;
    const bytes = stretched ? withLastDuration(payload, DECLARED_S * this.facts.timescale) : payload;
    if (this.as !== null) renumber(bytes, this.as);
    this.#needsKey = false;
    this.#capturedAtUs = header.capturedAtUs;
    this.#keep(header.key, bytes);
    this.start ??= time;
    this.edge = edge;
    this.#arrivedEdge = edge;
    this.#captures.push({ time, capturedAtMs: header.capturedAtUs / 1000 });
    if (this.#captures.length > CAPTURES_MAX) this.#captures.shift();
    return { kind: "chunk", bytes, time, edge };
  }

  /** Whether a picture of this stream that ends at `edge` belongs to another timeline: captured later, and yet before. */
  beganAnew(capturedAtUs: number, edge: number): boolean {
    return capturedAtUs > this.#capturedAtUs + LATER_US && edge < this.#arrivedEdge - BACK_S;
  }

  /** Goes on where another picture of the same stream ended; what that one has shown last is still on the screen. */
  follow(before: TrackFeed): void {
    this.#captures = [...before.#captures, ...this.#captures].slice(-CAPTURES_MAX);
  }

  /** When the frame shown at `mediaTime` was captured, in milliseconds since the Unix epoch. */
  capturedAtMs(mediaTime: number): number | null {
    for (let i = this.#captures.length - 1; i >= 0; i--) {
      const capture = this.#captures[i];
      if (capture && capture.time <= mediaTime + 0.002) return capture.capturedAtMs;
    }
    return null;
  }

  /** Goes on at the next key chunk, as after a loss. */
  waitForKey(): void {
    this.#needsKey = true;
    this.#segment = [];
    this.#segmentBytes = 0;
  }

  /** Forgets the timeline; the next key chunk begins a new one. */
  restart(): void {
    this.waitForKey();
    this.#capturedAtUs = -1;
    this.#arrivedEdge = 0;
    this.edge = null;
    this.start = null;
    this.#captures = [];
  }

  #keep(key: boolean, bytes: Uint8Array): void {
    if (key || this.#segmentBytes + bytes.length > SEGMENT_BYTES_MAX) {
      this.#segment = [];
      this.#segmentBytes = 0;
    }
    // Past the limit only a key chunk begins a segment that can be replayed.
    if (!key && !this.sound && this.#segment.length === 0) return;
    this.#segment.push(bytes);
    this.#segmentBytes += bytes.length;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
