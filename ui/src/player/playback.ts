// Turns what a relay sends into a moving picture on one <video>: feeds, buffer and latency control put together. Sockets and
// words for people are elsewhere.

import type { MediaHeader } from "../protocol/media_message";
import type { TrackInfo } from "../protocol/messages";
import { type Decision, type Engine, LatencyControl } from "./latency";
import { MediaBuffer, mediaSourceClass, mimeOf } from "./media_buffer";
import { opusSilence } from "./silence";
import { TrackFeed } from "./track_feed";

/** How often the playhead is looked at. */
const TICK_MS = 100;
/** Longer without a tick means that the page slept: what arrives next is a backlog. */
const SLEPT_MS = 1500;
/** A tick this late means that the page was busy for a moment. */
const BUSY_MS = 220;
/** A backlog is over after this long without a chunk, or with a chunk this fresh, or in any case after the last. */
const QUIET_MS = 15;
const FRESH_MS = 120;
const BACKLOG_MS_MAX = 150;
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
/** A lead this much over the aim after a backlog is left behind at once. */
const BACKLOG_EXCESS_S = 0.2;
const WEBKIT_BACKLOG_EXCESS_S = 0.7;
/** A seek that has found nothing for this long waits for media that will not come. */
const SEEK_MS_MAX = 1500;
/** Shorter stalls are not spoken of. */
const DRY_MS = 300;
/** Failures of decoding in a row before the media is called unplayable. */
const FAILURES_MAX = 5;
/** The pause between two new buffers, so that bad media does not spin. */
const REBUILD_PAUSE_MS = 500;

export interface PlaybackEvents {
  /** The picture moves (again). */
  moving(): void;
  ranDry(): void;
  unplayable(message: string): void;
  /** Begin or go on; the caller knows about mute and clicks. */
  play(): void;
}

export class Playback {
  jumps = 0;
  stalls = 0;
  readonly #control: LatencyControl;
  readonly #feeds = new Map<number, TrackFeed>();
  #described = "";
  #buffer: MediaBuffer | null = null;
  #inBuffer = new Set<number>();
  #phase: "gathering" | "running" = "gathering";
  #backlogSince: number | null = null;
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #initTimer: ReturnType<typeof setTimeout> | undefined;
  #dryTimer: ReturnType<typeof setTimeout> | undefined;
  #rebuildTimer: ReturnType<typeof setTimeout> | undefined;
  #holdTimer: ReturnType<typeof setTimeout> | undefined;
  #inBacklog = true;
  #tickedAt = performance.now();
  #soughtAt = performance.now();
  #soundAt = 0;
  #failures = 0;
  #starting = true;
  #paused = false;
  #wasHere = -1;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly engine: Engine,
    private readonly nowMs: () => number,
    private readonly events: PlaybackEvents,
    private readonly signal: AbortSignal,
  ) {
    this.#control = new LatencyControl(engine);
    const during = { signal };
    video.addEventListener("waiting", () => this.#dry(), during);
    video.addEventListener("playing", () => this.#moved(), during);
    video.addEventListener("timeupdate", () => this.#moved(), during);
    video.addEventListener("loadedmetadata", () => this.#begin(), during);
    video.addEventListener("error", () => this.#broken(video.error?.message || "decoding failed"), during);
    const timer = setInterval(() => this.#tick(), TICK_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      for (const one of [this.#quietTimer, this.#initTimer, this.#dryTimer, this.#rebuildTimer, this.#holdTimer]) {
        clearTimeout(one);
      }
      this.#buffer?.close();
      this.#buffer = null;
    });
  }

  /** The relay says what it sends; also after a reconnect, when nothing has changed. */
  watching(tracks: TrackInfo[], selected: number[]): void {
    this.#enterBacklog();
    const chosen = chooseTracks(tracks, selected);
    if (chosen.length === 0) {
      this.events.unplayable("This browser can't play the format of this stream.");
      return;
    }
    const described = JSON.stringify(chosen);
    if (described === this.#described) return;
    this.#described = described;
    this.#drop();
    this.#feeds.clear();
    for (const info of chosen) this.#feeds.set(info.track, new TrackFeed(info, true));
  }

  media(header: MediaHeader, payload: Uint8Array): void {
    const feed = this.#feeds.get(header.track);
    if (!feed) return;
    if (header.kind === "init") this.#takeInit(feed, payload);
    else this.#takeChunk(feed, header, payload);
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

  capturedAtMs(mediaTime: number): number | null {
    return this.#picture()?.capturedAtMs(mediaTime) ?? null;
  }

  pause(): void {
    this.#paused = true;
    this.video.pause();
  }

  /** Goes on at the live edge, as after a pause or by a click. */
  goLive(): void {
    this.#paused = false;
    const edge = this.edge;
    if (edge === null || this.#phase !== "running") {
      this.#begin();
      return;
    }
    this.#seek(Math.max(this.#edgeStart(edge), edge - this.#control.margin(this.#now())));
    this.events.play();
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
    const now = performance.now();
    if (!feed.sound) this.#fillSilence(now);
    if (soundUntil !== null && taken.time - soundUntil < SOUND_HOLE_S_MAX) this.#silence(feed, soundUntil, taken.time);
    if (this.#inBuffer.has(feed.info.track)) this.#buffer?.append(feed.info.track, taken.bytes);
    if (this.#inBacklog) this.#followBacklog(now, header.capturedAtUs / 1000);
    else this.#control.arrived(now / 1000, feed.info.track, feed.sound, taken.time);
    if (now - this.#tickedAt > TICK_MS) this.#tick();
  }

  #build(): void {
    clearTimeout(this.#initTimer);
    this.#initTimer = undefined;
    const ready = [...this.#feeds.values()].filter((feed) => feed.init);
    if (ready.length === 0 || this.signal.aborted) return;
    this.#inBuffer = new Set(ready.map((feed) => feed.info.track));
    this.#phase = "gathering";
    const tracks = ready.map((feed) => ({
      track: feed.info.track,
      mime: mimeOf(feed.info.kind, feed.info.codec),
      init: feed.init as Uint8Array,
    }));
    const buffer = new MediaBuffer(this.video, tracks, {
      changed: () => this.#begin(),
      overflowed: (track) => this.#feeds.get(track)?.waitForKey(),
      failed: (error) => {
        if (buffer === this.#buffer) this.#broken(error instanceof Error ? error.message : String(error));
      },
    });
    this.#buffer = buffer;
    for (const feed of ready) for (const bytes of feed.segment) buffer.append(feed.info.track, bytes);
  }

  /** The timeline or an init segment has changed: everything before it is of no more use. */
  #restart(): void {
    for (const feed of this.#feeds.values()) feed.restart();
    this.#drop();
    this.#enterBacklog();
    this.#build();
  }

  #drop(): void {
    this.#buffer?.close();
    this.#buffer = null;
    this.#inBuffer.clear();
    this.#phase = "gathering";
  }

  #broken(reason: string): void {
    this.#failures += 1;
    if (this.#failures > FAILURES_MAX) {
      this.events.unplayable(`This browser can't play the stream (${reason}).`);
      return;
    }
    this.#drop();
    // What could not be decoded is not tried again: the next key chunk begins afresh.
    for (const feed of this.#feeds.values()) feed.restart();
    this.#enterBacklog();
    clearTimeout(this.#rebuildTimer);
    this.#rebuildTimer = setTimeout(() => this.#build(), this.#failures === 1 ? 0 : REBUILD_PAUSE_MS);
  }

  #enterBacklog(): void {
    this.#inBacklog = true;
    this.#backlogSince = null;
    this.#control.reset();
  }

  #followBacklog(now: number, capturedAtMs: number): void {
    this.#backlogSince ??= now;
    clearTimeout(this.#quietTimer);
    const fresh = this.nowMs() - capturedAtMs < FRESH_MS;
    if (fresh || now - this.#backlogSince > BACKLOG_MS_MAX) this.#leaveBacklog();
    else this.#quietTimer = setTimeout(() => this.#leaveBacklog(), QUIET_MS);
  }

  #leaveBacklog(): void {
    clearTimeout(this.#quietTimer);
    this.#inBacklog = false;
    this.#begin();
    const edge = this.edge;
    if (edge === null || this.#phase !== "running" || this.#paused) return;
    const excess = edge - this.video.currentTime - this.#control.margin(this.#now());
    const most = this.engine === "webkit" ? WEBKIT_BACKLOG_EXCESS_S : BACKLOG_EXCESS_S;
    if (excess > most) this.#seek(edge - this.#control.margin(this.#now()));
  }

  /** Starts the playhead near the live edge as soon as there is something to show. */
  #begin(): void {
    if (this.#phase !== "gathering" || this.#inBacklog || this.#paused || this.video.readyState < 1) return;
    const edge = this.edge;
    if (edge === null || this.video.buffered.length === 0) return;
    const decision = this.#control.begin(this.#now(), this.#edgeStart(edge), edge);
    if (decision.kind !== "play") return;
    this.#phase = "running";
    this.#starting = true;
    this.#soughtAt = performance.now();
    this.video.currentTime = decision.at;
    this.video.playbackRate = 1;
    this.events.play();
  }

  #tick(): void {
    const now = performance.now();
    const slept = now - this.#tickedAt > SLEPT_MS;
    if (this.#buffer) this.#fillSilence(now);
    this.#tickedAt = now;
    if (this.signal.aborted || !this.#buffer) return;
    const edge = this.edge;
    if (edge === null) return;
    this.#buffer.trim(this.video.currentTime, edge);
    if (slept) this.#enterBacklog();
    if (this.#phase === "gathering") {
      this.#begin();
      return;
    }
    if (this.#inBacklog || this.#paused || this.#holdTimer !== undefined || this.#seeking(now, edge)) return;
    // A browser that stopped a hidden picture by itself goes on when it is seen again.
    if (this.video.paused && !document.hidden) {
      this.goLive();
      return;
    }
    const position = this.video.currentTime;
    const moving = position !== this.#wasHere && !this.video.paused;
    this.#wasHere = position;
    this.#obey(this.#control.tick({ now: now / 1000, position, edge, edgeStart: this.#edgeStart(edge), moving }));
  }

  #obey(decision: Decision): void {
    if (decision.kind === "rate") this.video.playbackRate = decision.rate;
    if (decision.kind === "jump") this.#seek(decision.to);
    if (decision.kind === "hold") {
      this.video.pause();
      this.#holdTimer = setTimeout(() => {
        this.#holdTimer = undefined;
        if (!this.#paused) this.events.play();
      }, decision.ms);
    }
  }

  /** Whether a seek is under way that can still find something. */
  #seeking(now: number, edge: number): boolean {
    if (!this.video.seeking) return false;
    return now - this.#soughtAt < SEEK_MS_MAX && this.video.currentTime >= this.#edgeStart(edge);
  }

  #seek(to: number): void {
    this.jumps += 1;
    this.#soughtAt = performance.now();
    if (this.engine !== "webkit") this.video.playbackRate = 1;
    this.video.currentTime = to;
  }

  /** A MediaSource plays only what all its tracks have; silence stands in for sound that does not come. */
  #fillSilence(now: number): void {
    const picture = this.#picture();
    // A page that was busy has sound waiting that it has not read yet.
    if (now - this.#tickedAt > BUSY_MS) return;
    const quiet = now - this.#soundAt;
    if (picture?.edge == null || picture.start === null || quiet < SOUND_LATE_MS) return;
    const position = this.#phase === "running" ? this.video.currentTime : picture.edge;
    for (const feed of this.#playing()) {
      if (!feed.sound) continue;
      const from = feed.edge === null ? picture.start : Math.max(feed.edge, picture.edge - SOUND_HOLE_S_MAX);
      const needed = quiet > SOUND_GONE_MS || from - position < SOUND_LEFT_S;
      if (!needed || from > picture.edge + SILENCE_AHEAD_S / 2) continue;
      feed.edge = this.#silence(feed, from, Math.max(picture.edge, position) + SILENCE_AHEAD_S);
    }
  }

  /** Appends silence between two moments, where the codec is one that it can be made of. The end of what there is then. */
  #silence(feed: TrackFeed, from: number, to: number): number | null {
    if (feed.info.codec !== "opus" || !feed.facts || to - from < SOUND_HOLE_S_MIN) return feed.edge;
    const silence = opusSilence(feed.facts.trackId, feed.facts.timescale, from, to);
    feed.start ??= from;
    this.#buffer?.append(feed.info.track, silence.bytes);
    return silence.end;
  }

  #dry(): void {
    if (this.#phase !== "running" || this.video.seeking || this.#dryTimer !== undefined) return;
    const at = this.video.currentTime;
    // A page that slept ran dry by itself: the network is not to blame, and no reason to stay further back.
    if (performance.now() - this.#tickedAt < BUSY_MS) this.#control.ranDry(this.#now());
    this.#dryTimer = setTimeout(() => {
      this.#dryTimer = undefined;
      if (this.video.currentTime !== at || this.#paused) return;
      this.stalls += 1;
      this.events.ranDry();
    }, DRY_MS);
  }

  #moved(): void {
    if (this.#phase !== "running" || this.video.paused || this.video.readyState < 3) return;
    this.#failures = 0;
    // Chunks that came while the decoder started up waited for a busy page, not for the network.
    if (this.#starting) this.#control.reset();
    this.#starting = false;
    clearTimeout(this.#dryTimer);
    this.#dryTimer = undefined;
    this.events.moving();
  }

  /** Where the buffered range that holds the edge begins. */
  #edgeStart(edge: number): number {
    const { buffered } = this.video;
    for (let i = buffered.length - 1; i >= 0; i--) if (buffered.start(i) <= edge) return buffered.start(i);
    return edge;
  }

  #playing(): TrackFeed[] {
    return [...this.#feeds.values()].filter((feed) => this.#inBuffer.has(feed.info.track));
  }

  #picture(): TrackFeed | undefined {
    return this.#playing().find((feed) => !feed.sound);
  }

  #now(): number {
    return performance.now() / 1000;
  }
}

/** One picture and one sound track that are being sent and can be played here. */
function chooseTracks(tracks: TrackInfo[], selected: number[]): TrackInfo[] {
  const Source = mediaSourceClass();
  if (!Source) return [];
  const sent = tracks.filter((info) => selected.includes(info.track));
  const playable = (sent.length > 0 ? sent : tracks).filter((info) =>
    Source.isTypeSupported(mimeOf(info.kind, info.codec)),
  );
  const picture = playable.find((info) => info.kind === "video");
  const sound = playable.find((info) => info.kind === "sound");
  return [picture, sound].filter((info) => info !== undefined);
}
