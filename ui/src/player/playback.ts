// Turns what a relay sends into a moving picture on one <video>: moves the playhead over the reel as the latency control wants it.
// Sockets and words for people are elsewhere.

import type { MediaHeader } from "../protocol/media_message";
import type { TrackInfo } from "../protocol/messages";
import { type Decision, type Engine, LatencyControl } from "./latency";
import { Reel, type ReelEvents, type Playhead as ReelPlayhead } from "./reel";
import { Sound } from "./sound/sound";
import type { TrackFeed } from "./track_feed";

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
/** A lead this much over the aim after a backlog is left behind at once. */
const BACKLOG_EXCESS_S = 0.2;
const WEBKIT_BACKLOG_EXCESS_S = 0.7;
/** A seek that has found nothing for this long waits for media that will not come. */
const SEEK_MS_MAX = 1500;
/** Shorter stalls are not spoken of. */
const DRY_MS = 300;

export interface PlaybackEvents {
  /** The picture moves (again). */
  moving(): void;
  ranDry(): void;
  unplayable(message: string): void;
  /** Begin or go on; the caller knows about mute and clicks. */
  play(): void;
  /** Sound waits for a click. */
  soundBlocked(): void;
  /** Sound can't be played beside the picture after all; with a new connection the MediaSource plays it. */
  soundFailed(): void;
}

export class Playback {
  jumps = 0;
  stalls = 0;
  readonly #control: LatencyControl;
  readonly #reel: Reel;
  /** The sound, where it is played beside the MediaSource and not by it. */
  readonly #sound: Sound | null;
  #phase: "gathering" | "running" = "gathering";
  #backlogSince: number | null = null;
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #dryTimer: ReturnType<typeof setTimeout> | undefined;
  #holdTimer: ReturnType<typeof setTimeout> | undefined;
  #inBacklog = true;
  #tickedAt = performance.now();
  #soughtAt = performance.now();
  #starting = true;
  #paused = false;
  #wasHere = -1;
  /** Another picture lies over the one that plays; only a seek shows it. */
  #overlaid = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly engine: Engine,
    private readonly nowMs: () => number,
    private readonly events: PlaybackEvents,
    private readonly signal: AbortSignal,
  ) {
    this.#control = new LatencyControl(engine);
    this.#reel = new Reel(video, () => this.#playhead(), this.#reelEvents(), signal);
    // docs/decisions/0015-sound-beside-the-picture.md
    const said = { blocked: () => this.events.soundBlocked(), failed: () => this.events.soundFailed() };
    this.#sound = engine === "chromium" ? new Sound(video, said, signal) : null;
    const during = { signal };
    video.addEventListener("waiting", () => this.#dry(), during);
    video.addEventListener("playing", () => this.#moved(), during);
    video.addEventListener("timeupdate", () => this.#moved(), during);
    video.addEventListener("loadedmetadata", () => this.#begin(), during);
    video.addEventListener("error", () => this.#reel.broken(video.error?.message || "decoding failed"), during);
    const timer = setInterval(() => this.#tick(), TICK_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      for (const one of [this.#quietTimer, this.#dryTimer, this.#holdTimer]) clearTimeout(one);
    });
  }

  /** The relay says what it sends; `fresh` over a new connection, also when nothing has changed. */
  watching(tracks: TrackInfo[], selected: number[], fresh: boolean): void {
    if (fresh) this.#enterBacklog();
    this.#reel.watching(this.#sound?.watching(tracks, selected, fresh) ?? tracks, selected);
  }

  media(header: MediaHeader, payload: Uint8Array): void {
    if (this.#sound?.takes(header.track)) this.#soundCame(this.#sound, header, payload);
    else this.#reel.media(header, payload);
  }

  /** What there is to say of sound that is played beside the picture; null where the MediaSource plays it. */
  get sound(): { behind: number | null; gaps: number } | null {
    return this.#sound;
  }

  /** The last moment that can be shown: the lesser of all tracks. */
  get edge(): number | null {
    return this.#reel.edge;
  }

  capturedAtMs(mediaTime: number): number | null {
    return this.#reel.capturedAtMs(mediaTime);
  }

  pause(): void {
    this.#paused = true;
    this.#sound?.pause(true);
    this.video.pause();
  }

  /** Goes on at the live edge, as after a pause or by a click. */
  goLive(): void {
    this.#paused = false;
    this.#sound?.pause(false);
    const edge = this.edge;
    if (edge === null || this.#phase !== "running") {
      this.#begin();
      return;
    }
    this.#seek(Math.max(this.#reel.edgeStart(edge), edge - this.#control.margin(this.#now())));
    this.events.play();
  }

  #reelEvents(): ReelEvents {
    return {
      changed: () => this.#changed(),
      taken: (feed, header, time) => this.#taken(feed, header, time),
      restarted: () => {
        this.#phase = "gathering";
        this.#enterBacklog();
      },
      switched: (overlaid) => {
        this.#control.switched();
        this.#overlaid ||= overlaid;
      },
      unplayable: (message) => this.events.unplayable(message),
    };
  }

  #playhead(): ReelPlayhead {
    const position = this.#phase === "running" ? this.video.currentTime : null;
    // A page that was busy has sound waiting that it has not read yet.
    return { position, attentive: performance.now() - this.#tickedAt <= BUSY_MS };
  }

  #taken(feed: TrackFeed, header: MediaHeader, time: number): void {
    const now = performance.now();
    if (this.#inBacklog) this.#followBacklog(now, header.capturedAtUs / 1000);
    else this.#control.arrived(now / 1000, feed.info.track, feed.sound, time);
    if (now - this.#tickedAt > TICK_MS) this.#tick();
  }

  #soundCame(sound: Sound, header: MediaHeader, payload: Uint8Array): void {
    const time = sound.media(header, payload);
    if (time === null || this.#inBacklog) return;
    const now = performance.now() / 1000;
    const until = sound.arrived(now, time);
    if (until !== null) this.#control.allowed(now, until);
  }

  #changed(): void {
    this.#begin();
    const edge = this.edge;
    if (!this.#overlaid || this.#inBacklog || this.#phase !== "running" || edge === null) return;
    this.#overlaid = false;
    if (!this.#paused) this.#seek(Math.max(this.#reel.edgeStart(edge), edge - this.#control.margin(this.#now())));
  }

  #enterBacklog(): void {
    this.#inBacklog = true;
    this.#backlogSince = null;
    this.#control.reset();
    this.#sound?.reset();
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
    const decision = this.#control.begin(this.#now(), this.#reel.edgeStart(edge), edge);
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
    this.#reel.fillSilence(now);
    this.#tickedAt = now;
    if (this.signal.aborted || !this.#reel.running) return;
    const edge = this.edge;
    if (edge === null) return;
    this.#reel.trim(this.video.currentTime, edge);
    if (slept) this.#enterBacklog();
    if (this.#phase === "gathering") {
      this.#begin();
      return;
    }
    this.#sound?.tick(now / 1000, this.#seen());
    if (this.#inBacklog || this.#paused || this.#holdTimer !== undefined || this.#seeking(now, edge)) return;
    // A browser that stopped a hidden picture by itself goes on when it is seen again; its sound goes on meanwhile.
    if (this.video.paused) {
      if (!document.hidden) this.goLive();
      return;
    }
    const position = this.video.currentTime;
    const moving = position !== this.#wasHere && !this.video.paused;
    this.#wasHere = position;
    this.#obey(this.#control.tick({ now: now / 1000, position, edge, edgeStart: this.#reel.edgeStart(edge), moving }));
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

  /** What is on the screen, in seconds of media time; null while no picture moves there. */
  #seen(): number | null {
    const { paused, seeking, readyState, currentTime } = this.video;
    return paused || seeking || readyState < 3 || document.hidden ? null : currentTime;
  }

  /** Whether a seek is under way that can still find something. */
  #seeking(now: number, edge: number): boolean {
    if (!this.video.seeking) return false;
    return now - this.#soughtAt < SEEK_MS_MAX && this.video.currentTime >= this.#reel.edgeStart(edge);
  }

  #seek(to: number): void {
    this.jumps += 1;
    this.#soughtAt = performance.now();
    if (this.engine !== "webkit") this.video.playbackRate = 1;
    this.video.currentTime = to;
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
    this.#reel.shown();
    // Chunks that came while the decoder started up waited for a busy page, not for the network.
    if (this.#starting) this.#control.reset();
    this.#starting = false;
    clearTimeout(this.#dryTimer);
    this.#dryTimer = undefined;
    this.events.moving();
  }

  #now(): number {
    return performance.now() / 1000;
  }
}
