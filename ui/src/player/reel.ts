// What is played: a feed per track and the buffer that they fill. Makes the buffer anew when the media change, puts another picture
// of the same stream into the same buffer, and silence where sound does not come. Where the playhead stands is decided elsewhere.

import type { MediaHeader } from "../protocol/media_message";
import type { TrackInfo } from "../protocol/messages";
import { MediaBuffer, mimeOf, playable } from "./media_buffer";
import { opusSilence } from "./silence";
import { TrackFeed } from "./track_feed";

/** How long the picture waits for the init segment of another track. */
const OTHER_INIT_MS_MAX = 300;
/** Sound of which none came for this long is late; with so little left ahead of the playhead, silence takes its place. */
const SOUND_LATE_MS = 80;
const SOUND_LEFT_S = 0.15;
/** After this long it is gone, and silence goes along with the picture. */
const SOUND_GONE_MS = 250;
/** How far silence runs ahead of the picture: sound outputs take about a tenth of a second in advance. */
const SILENCE_AHEAD_S = 0.3;
/** Holes in the sound up to this long are filled; past it the picture has one too, and the playhead jumps. */
const SOUND_HOLE_S_MAX = 1;
const SOUND_HOLE_S_MIN = 0.003;
/** Failures of decoding in a row before the media is called unplayable. */
const FAILURES_MAX = 5;
/** The pause between two new buffers, so that bad media does not spin. */
const REBUILD_PAUSE_MS = 500;

export interface ReelEvents {
  /** Something was appended or removed. */
  changed(): void;
  /** A chunk that is to be shown at `time`, in seconds, went into the buffer. */
  taken(feed: TrackFeed, header: MediaHeader, time: number): void;
  /** What was there is of no more use; the buffer is being made anew. */
  restarted(): void;
  /** Another picture goes on where the last one ended; `overlaid` when it covers some of what was there, which only a seek shows. */
  switched(overlaid: boolean): void;
  unplayable(message: string): void;
}

/** What silence is measured against. */
export interface Playhead {
  /** Null before the picture runs. */
  position: number | null;
  /** The page has looked lately, and has read whatever has come. */
  attentive: boolean;
}

export class Reel {
  readonly #feeds = new Map<number, TrackFeed>();
  readonly #inits = new Map<number, Uint8Array>();
  #tracks = "";
  #described = "";
  /** The picture that replaces the one that plays, from its first key chunk on. */
  #next: TrackFeed | null = null;
  #buffer: MediaBuffer | null = null;
  #inBuffer = new Set<number>();
  #soundAt = 0;
  #failures = 0;
  #initTimer: ReturnType<typeof setTimeout> | undefined;
  #rebuildTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playhead: () => Playhead,
    private readonly events: ReelEvents,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => {
      clearTimeout(this.#initTimer);
      clearTimeout(this.#rebuildTimer);
      this.#buffer?.close();
      this.#buffer = null;
    });
  }

  /** The relay says what it sends; also when nothing has changed. */
  watching(tracks: TrackInfo[], selected: number[]): void {
    const chosen = chooseTracks(tracks, selected);
    if (chosen.length === 0) {
      this.events.unplayable("This browser can't play the format of this stream.");
      return;
    }
    const described = JSON.stringify(chosen);
    if (described === this.#described) return;
    this.#described = described;
    const sameStream = this.#tracks === JSON.stringify(tracks);
    this.#tracks = JSON.stringify(tracks);
    if (sameStream && this.#prepareSwitch(chosen)) return;
    if (!sameStream) this.#inits.clear();
    this.#next = null;
    this.#drop();
    this.#feeds.clear();
    for (const info of chosen) this.#feeds.set(info.track, this.#feed(info));
    this.events.restarted();
    // Relays send the init segment of a track once.
    if ([...this.#feeds.values()].every(({ init }) => init)) this.#build();
  }

  media(header: MediaHeader, payload: Uint8Array): void {
    if (header.kind === "init") this.#inits.set(header.track, payload);
    const feed = this.#feeds.get(header.track);
    if (feed && header.kind === "init") this.#takeInit(feed, payload);
    else if (feed) this.#takeChunk(feed, header, payload);
    else if (this.#next?.info.track === header.track) this.#takeNext(this.#next, header, payload);
  }

  /** The last moment that can be shown: the lesser of all tracks. */
  get edge(): number | null {
    let edge: number | null = null;
    for (const feed of this.#playing()) {
      if (feed.edge === null) return null;
      edge = Math.min(edge ?? Number.POSITIVE_INFINITY, feed.edge);
    }
    return edge;
  }

  /** Where the buffered range that holds the edge begins. */
  edgeStart(edge: number): number {
    const { buffered } = this.video;
    for (let i = buffered.length - 1; i >= 0; i--) if (buffered.start(i) <= edge) return buffered.start(i);
    return edge;
  }

  capturedAtMs(mediaTime: number): number | null {
    return this.#picture()?.capturedAtMs(mediaTime) ?? null;
  }

  /** Whether there is a buffer. */
  get running(): boolean {
    return this.#buffer !== null;
  }

  trim(position: number, edge: number): void {
    this.#buffer?.trim(position, edge);
  }

  /** A picture was shown. */
  shown(): void {
    this.#failures = 0;
  }

  /** The browser could not decode it. */
  broken(reason: string): void {
    this.#failures += 1;
    if (this.#failures > FAILURES_MAX) {
      this.events.unplayable(`This browser can't play the stream (${reason}).`);
      return;
    }
    this.#drop();
    // What could not be decoded is not tried again: the next key chunk begins afresh.
    for (const feed of this.#feeds.values()) feed.restart();
    this.events.restarted();
    clearTimeout(this.#rebuildTimer);
    this.#rebuildTimer = setTimeout(() => this.#build(), this.#failures === 1 ? 0 : REBUILD_PAUSE_MS);
  }

  /** A MediaSource plays only what all its tracks have; silence stands in for sound that does not come. */
  fillSilence(now: number): void {
    const picture = this.#picture();
    const { attentive, position } = this.playhead();
    const quiet = now - this.#soundAt;
    if (!this.#buffer || !attentive) return;
    if (picture?.edge == null || picture.start === null || quiet < SOUND_LATE_MS) return;
    const at = position ?? picture.edge;
    for (const feed of this.#playing()) {
      if (!feed.sound) continue;
      const from = feed.edge === null ? picture.start : Math.max(feed.edge, picture.edge - SOUND_HOLE_S_MAX);
      const needed = quiet > SOUND_GONE_MS || from - at < SOUND_LEFT_S;
      if (!needed || from > picture.edge + SILENCE_AHEAD_S / 2) continue;
      feed.edge = this.#silence(feed, from, Math.max(picture.edge, at) + SILENCE_AHEAD_S);
    }
  }

  #feed(info: TrackInfo, as: number | null = null): TrackFeed {
    const feed = new TrackFeed(info, true, as);
    const init = this.#inits.get(info.track);
    if (init) feed.takeInit(init);
    return feed;
  }

  #takeInit(feed: TrackFeed, payload: Uint8Array): void {
    const taken = feed.takeInit(payload);
    if (taken === "same" || taken === "broken") return;
    const complete = [...this.#feeds.values()].every((each) => each.init);
    if (this.#inBuffer.has(feed.info.track) || complete) {
      // A track that comes late, or changes, needs a new MediaSource: its SourceBuffers are fixed by the first append.
      if (this.#buffer) this.#restart();
      else this.#build();
      return;
    }
    this.#initTimer ??= setTimeout(() => this.#build(), OTHER_INIT_MS_MAX);
  }

  #takeChunk(feed: TrackFeed, header: MediaHeader, payload: Uint8Array): void {
    const soundUntil = feed.sound ? feed.edge : null;
    // Also sound that silence covers already says that there is sound again.
    if (feed.sound) this.#soundAt = performance.now();
    let taken = feed.take(header, payload);
    if (taken.kind === "restarted") {
      this.#restart();
      taken = feed.take(header, payload);
    }
    if (taken.kind !== "chunk") return;
    if (!feed.sound) this.fillSilence(performance.now());
    if (soundUntil !== null && taken.time - soundUntil < SOUND_HOLE_S_MAX) this.#silence(feed, soundUntil, taken.time);
    if (this.#inBuffer.has(feed.info.track)) this.#buffer?.append(feed.info.track, taken.bytes);
    this.events.taken(feed, header, taken.time);
  }

  /** Whether these tracks can follow the ones that play within the same buffer: another picture of the same format. */
  #prepareSwitch(chosen: TrackInfo[]): boolean {
    const before = this.#picture();
    const wanted = chosen.find(({ kind }) => kind === "video");
    if (!this.#buffer || !before || !wanted) return false;
    const others = chosen.filter((info) => info !== wanted);
    const sameOthers = others.length === this.#feeds.size - 1 && others.every(({ track }) => this.#feeds.has(track));
    if (!sameOthers || formatOf(wanted.codec) !== formatOf(before.info.codec)) return false;
    this.#next = wanted.track === before.info.track ? null : this.#feed(wanted, before.bufferId);
    return true;
  }

  #takeNext(next: TrackFeed, header: MediaHeader, payload: Uint8Array): void {
    if (header.kind === "init") {
      next.takeInit(payload);
      return;
    }
    const before = this.#picture();
    const taken = next.take(header, payload);
    if (taken.kind !== "chunk" || !before) return;
    const overlaid = before.edge !== null && next.start !== null && next.start <= before.edge;
    const anew = before.edge !== null && before.beganAnew(header.capturedAtUs, taken.edge);
    // What the last picture has shown already is not shown again by this one.
    if (overlaid && !anew && before.edge !== null && taken.edge <= before.edge) return;
    this.#next = null;
    next.follow(before);
    this.#feeds.delete(before.info.track);
    this.#feeds.set(next.info.track, next);
    this.#inBuffer.delete(before.info.track);
    this.#inBuffer.add(next.info.track);
    if (anew || !this.#buffer?.replace(before.info.track, next.info.track)) {
      if (anew) for (const feed of this.#feeds.values()) if (feed !== next) feed.restart();
      this.#drop();
      this.events.restarted();
      this.#build();
    } else {
      for (const bytes of [next.bufferInit, ...next.segment]) this.#buffer.append(next.info.track, bytes);
      this.events.switched(overlaid);
    }
    this.events.taken(next, header, taken.time);
  }

  #build(): void {
    clearTimeout(this.#initTimer);
    this.#initTimer = undefined;
    const ready = [...this.#feeds.values()].filter((feed) => feed.init);
    if (ready.length === 0 || this.signal.aborted) return;
    this.#inBuffer = new Set(ready.map((feed) => feed.info.track));
    const tracks = ready.map((feed) => ({
      track: feed.info.track,
      mime: mimeOf(feed.info.kind, feed.info.codec),
      init: feed.bufferInit,
    }));
    const buffer = new MediaBuffer(this.video, tracks, {
      changed: () => this.events.changed(),
      overflowed: (track) => this.#feeds.get(track)?.waitForKey(),
      failed: (error) => {
        if (buffer === this.#buffer) this.broken(error instanceof Error ? error.message : String(error));
      },
    });
    this.#buffer = buffer;
    for (const feed of ready) for (const bytes of feed.segment) buffer.append(feed.info.track, bytes);
  }

  /** The timeline or an init segment has changed: everything before it is of no more use. */
  #restart(): void {
    for (const feed of this.#feeds.values()) feed.restart();
    this.#drop();
    this.events.restarted();
    this.#build();
  }

  #drop(): void {
    this.#buffer?.close();
    this.#buffer = null;
    this.#inBuffer.clear();
  }

  /** Appends silence between two moments, where the codec is one that it can be made of. The end of what there is then. */
  #silence(feed: TrackFeed, from: number, to: number): number | null {
    if (feed.info.codec !== "opus" || !feed.facts || to - from < SOUND_HOLE_S_MIN) return feed.edge;
    const silence = opusSilence(feed.facts.trackId, feed.facts.timescale, from, to);
    feed.start ??= from;
    this.#buffer?.append(feed.info.track, silence.bytes);
    return silence.end;
  }

  #playing(): TrackFeed[] {
    return [...this.#feeds.values()].filter((feed) => this.#inBuffer.has(feed.info.track));
  }

  #picture(): TrackFeed | undefined {
    return this.#playing().find((feed) => !feed.sound);
  }
}

/** One picture and one sound track that are being sent and can be played here. */
function chooseTracks(tracks: TrackInfo[], selected: number[]): TrackInfo[] {
  const sent = tracks.filter((info) => selected.includes(info.track));
  const candidates = (sent.length > 0 ? sent : tracks).filter(playable);
  const picture = candidates.find((info) => info.kind === "video");
  const sound = candidates.find((info) => info.kind === "sound");
  return [picture, sound].filter((info) => info !== undefined);
}

/** The part of a codec's name that a SourceBuffer can't change: `avc1` of `avc1.4D401F`. */
function formatOf(codec: string): string {
  return codec.split(".")[0] ?? codec;
}
