// One MediaSource on the <video>: a SourceBuffer per track, all added before the first append. Made anew, on the same element,
// when the tracks change or the media can't be decoded.

import type { TrackInfo } from "../protocol/messages";
import { AppendQueue } from "./append_queue";

/** How much is kept behind the playhead after a trim: enough to decode from a key frame. */
const KEPT_BEHIND_S = 5;
/** Trimming waits until this much is behind, so that it is rare. */
const TRIM_FROM_S = 12;
/** How much is kept before the live edge while the picture is stopped. */
const KEPT_PAUSED_S = 20;
/** Chunks that may wait for the MediaSource to open, which takes a few milliseconds. */
const WAITING_MAX = 2000;

export interface BufferTrack {
  track: number;
  mime: string;
  init: Uint8Array;
}

export interface MediaBufferEvents {
  changed(): void;
  overflowed(track: number): void;
  failed(error: unknown): void;
}

type MediaSourceClass = typeof MediaSource;

/** MediaSource where there is one; on iPhones only ManagedMediaSource exists. */
export function mediaSourceClass(): MediaSourceClass | null {
  const scope = globalThis as { MediaSource?: MediaSourceClass; ManagedMediaSource?: MediaSourceClass };
  return scope.MediaSource ?? scope.ManagedMediaSource ?? null;
}

export function mimeOf(kind: "video" | "sound", codec: string): string {
  return `${kind === "video" ? "video" : "audio"}/mp4; codecs="${codec}"`;
}

/** Whether this browser plays a track. */
export function playable({ kind, codec }: TrackInfo): boolean {
  return mediaSourceClass()?.isTypeSupported(mimeOf(kind, codec)) ?? false;
}

/** A SourceBuffer, and the track that it holds now. */
interface Slot {
  track: number;
  queue: AppendQueue;
}

export class MediaBuffer {
  #slots: Slot[] = [];
  readonly #waiting: { track: number; bytes: Uint8Array }[] = [];
  readonly #source: MediaSource;
  readonly #life = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly tracks: BufferTrack[],
    private readonly events: MediaBufferEvents,
  ) {
    const Source = mediaSourceClass();
    if (!Source) throw new Error("this browser has no MediaSource");
    this.#source = new Source();
    this.#source.addEventListener("sourceopen", () => this.#opened(), { signal: this.#life.signal, once: true });
    // ManagedMediaSource refuses to open while the picture might be sent to a television.
    video.disableRemotePlayback = true;
    const url = URL.createObjectURL(this.#source);
    this.#source.addEventListener("sourceopen", () => URL.revokeObjectURL(url), { once: true });
    video.src = url;
  }

  append(track: number, bytes: Uint8Array): void {
    const slot = this.#slots.find((each) => each.track === track);
    if (slot) slot.queue.append(bytes);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ track, bytes });
    else this.events.overflowed(track);
  }

  /** From now on `track` goes where `before` went; its init segment comes next. False when there is nowhere yet. */
  replace(before: number, track: number): boolean {
    const slot = this.#slots.find((each) => each.track === before);
    if (slot) slot.track = track;
    return slot !== undefined;
  }

  /** Forgets what was shown. `edge` bounds the buffer while the playhead stands still. */
  trim(position: number, edge: number): void {
    const start = this.video.buffered.length > 0 ? this.video.buffered.start(0) : position;
    let until = 0;
    if (position - start > TRIM_FROM_S) until = position - KEPT_BEHIND_S;
    if (edge - start > KEPT_PAUSED_S + TRIM_FROM_S) until = Math.max(until, edge - KEPT_PAUSED_S);
    if (until > 0) for (const { queue } of this.#slots) queue.removeBefore(until);
  }

  close(): void {
    this.#life.abort();
    this.#slots = [];
    this.#waiting.length = 0;
  }

  #opened(): void {
    try {
      for (const { track, mime } of this.tracks) this.#slots.push(this.#slot(track, mime));
    } catch (error) {
      this.events.failed(error);
      return;
    }
    for (const { track, init } of this.tracks) this.append(track, init);
    for (const { track, bytes } of this.#waiting.splice(0)) this.append(track, bytes);
  }

  #slot(track: number, mime: string): Slot {
    const events = {
      changed: () => this.events.changed(),
      overflowed: () => this.events.overflowed(slot.track),
      failed: (error: unknown) => this.events.failed(error),
    };
    const slot = { track, queue: new AppendQueue(this.#source.addSourceBuffer(mime), events, this.#life.signal) };
    return slot;
  }
}
