// One viewing of one stream, from `start` to `stop`: connection, playback, state and measurements around one <video>.

import type { MediaMessage } from "../protocol/media_message";
import type { WatchAnswer } from "../protocol/messages";
import type { OpenTransport } from "../transport/transport";
import type { Passwords, PasswordWanted, WatchApi } from "./admission";
import { Composure } from "./composure";
import { Connection } from "./connection";
import type { Engine } from "./latency";
import { playable } from "./media_buffer";
import { machineNetwork, type Network } from "./network";
import { forgetPassword, recallPassword, rememberPassword } from "./password_memory";
import type { PictureChoice } from "./picture";
import { recallPicture, rememberPicture } from "./picture_memory";
import { Playback } from "./playback";
import { Renditions } from "./renditions";
import { ShownFrames } from "./shown_frames";
import { IDLE, type PlayerEvent, type PlayerModel, type PlayerState, reduce, sameState, stateOf } from "./state";
import { NO_STATS, type PlayerStats, RateMeter } from "./stats";
import { Unsealing } from "./unsealing";

/** Tells the directory's time, in milliseconds since the Unix epoch. */
export interface Clock {
  now(): number;
}

export interface SessionOptions {
  streamId: string;
  api: WatchApi;
  clock: Clock;
  openTransport: OpenTransport;
  engine: Engine;
  /** What opens an end-to-end encrypted stream, as in its link; null where the link has none. */
  contentKey: string | null;
}

export interface SessionEvents {
  state(state: PlayerState): void;
  stats(stats: PlayerStats): void;
  answered(answer: WatchAnswer): void;
  /** Playing with sound needs a click; the picture plays muted. */
  soundBlocked(): void;
}

const STATS_MS = 500;
/** How often it is looked whether a machine that says that it is offline is. */
const OFFLINE_LOOK_MS = 200;
/** Whatever the machine says of its network: while something came this lately, there is one. */
const OFFLINE_SILENCE_MS = 400;

export class Session {
  stats: PlayerStats = NO_STATS;
  readonly playback: Playback;
  readonly #unsealing: Unsealing;
  readonly #composure: Composure;
  readonly #renditions: Renditions;
  readonly #connection: Connection;
  readonly #network: Network = machineNetwork();
  #givePassword: ((password: string) => void) | null = null;
  #model: PlayerModel = IDLE;
  #state: PlayerState = { kind: "idle" };
  readonly #began = performance.now();
  /** Ends connection and playback; also when the stream is over while the element stays. */
  readonly #running = new AbortController();
  readonly #bytes = new RateMeter();
  readonly #frames: ShownFrames;
  #mediaAt = Number.NEGATIVE_INFINITY;
  #counts = { viewers: null as number | null, skipped: 0, reconnects: 0, firstPictureMs: null as number | null };

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly options: SessionOptions,
    private readonly events: SessionEvents,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.#running.abort(), { once: true });
    this.playback = new Playback(
      video,
      options.engine,
      () => options.clock.now(),
      {
        moving: () => this.#moving(),
        ranDry: () => this.#ranDry(),
        unplayable: (message) => this.#dispatch({ type: "failed", code: "unsupported_media", message }),
        play: () => void this.#play(),
        soundBlocked: () => this.#silence(),
        soundFailed: () => this.#connection.beginAnew(),
      },
      this.#running.signal,
    );
    this.#unsealing = new Unsealing(
      options.streamId,
      options.contentKey,
      {
        media: (header, payload) => this.playback.media(header, payload),
        locked: (why, forGood) => {
          this.#dispatch({ type: "locked", why });
          if (forGood) this.#running.abort();
        },
        opened: () => this.#dispatch({ type: "opened" }),
      },
      this.#running.signal,
    );
    this.#composure = new Composure((loss) => this.#dispatch({ type: "lost", ...loss }), this.#running.signal);
    this.#renditions = new Renditions(recallPicture(), playable, performance.now());
    this.#dispatch({ type: "started" });
    const nowMs = () => options.clock.now();
    const capturedAtMs = (mediaTime: number) => this.playback.capturedAtMs(mediaTime);
    this.#frames = new ShownFrames(video, { nowMs, capturedAtMs }, this.#running.signal);
    this.#watchNetwork();
    const timer = setInterval(() => this.#measure(), STATS_MS);
    this.#running.signal.addEventListener("abort", () => clearInterval(timer));
    this.#connection = this.#connect();
    void this.#connection.run();
  }

  pause(): void {
    if (this.#running.signal.aborted) return;
    this.playback.pause();
    this.#dispatch({ type: "paused" });
  }

  goLive(): void {
    if (this.#running.signal.aborted) return;
    this.#dispatch({ type: "resumed" });
    this.playback.goLive();
  }

  choosePicture(choice: PictureChoice): void {
    rememberPicture(choice);
    this.#renditions.choose(choice, performance.now());
    this.#connection.select();
    this.#measure();
  }

  /** A person has typed the password that was asked for. */
  givePassword(password: string): void {
    this.#givePassword?.(password);
    this.#givePassword = null;
  }

  #passwords(): Passwords {
    const { streamId } = this.options;
    return {
      recall: () => recallPassword(streamId),
      remember: (password) => rememberPassword(streamId, password),
      forget: () => forgetPassword(streamId),
      ask: (wanted) => this.#askPassword(wanted),
    };
  }

  #askPassword(wanted: PasswordWanted): Promise<string> {
    return new Promise((resolve) => {
      this.#givePassword = (password) => {
        this.#dispatch({ type: "password_given" });
        resolve(password);
      };
      this.#dispatch({ type: "password_wanted", wanted });
    });
  }

  #connect(): Connection {
    const { streamId, api, openTransport } = this.options;
    return new Connection({
      streamId,
      api,
      openTransport,
      passwords: this.#passwords(),
      signal: this.#running.signal,
      network: this.#network,
      wanted: (tracks) => this.#renditions.wanted(tracks),
      events: {
        answered: (answer) => {
          this.events.answered(answer);
          this.#unsealing.announced(answer.stream.sealed);
        },
        watching: ({ tracks, selected }, fresh) => {
          this.#composure.mended();
          this.#dispatch({ type: "watching" });
          this.#renditions.watching(tracks, selected, fresh, performance.now());
          this.playback.watching(tracks, selected, fresh);
        },
        media: (message) => this.#media(message),
        skipped: (_track, chunks) => {
          this.#counts.skipped += chunks;
          this.#renditions.trouble(performance.now());
        },
        viewers: (count) => {
          this.#counts.viewers = count;
        },
        broadcaster: (present) => this.#dispatch({ type: "broadcaster", present }),
        lost: (attempt, busy) => {
          const { link, picture } = this.#model;
          if (this.#composure.lost({ attempt, busy }, link === "open" && picture === "moving")) {
            this.#counts.reconnects += 1;
          }
        },
        ended: () => this.#dispatch({ type: "ended" }),
        failed: (code, message) => this.#dispatch({ type: "failed", code, message }),
      },
    });
  }

  #media(message: MediaMessage): void {
    const { header, payload } = message;
    const now = performance.now();
    this.#mediaAt = now;
    this.#bytes.add(now, payload.length);
    if (header.kind === "chunk") {
      this.#renditions.arrived(now, header.track, this.options.clock.now() - header.capturedAtUs / 1000);
    }
    if (this.#renditions.look(now)) this.#connection.select();
    if (this.#renditions.isStuck(now)) this.#connection.beginAnew();
    this.#unsealing.take(message);
  }

  #ranDry(): void {
    // What a relay or the broadcaster does not send is not for want of room on the way.
    if (this.#model.link === "open" && this.#model.present) this.#renditions.trouble(performance.now());
    this.#dispatch({ type: "ran_dry" });
  }

  #watchNetwork(): void {
    const { signal } = this.#running;
    const look = () => {
      const gone = !this.#network.online && performance.now() - this.#mediaAt > OFFLINE_SILENCE_MS;
      if (gone !== this.#model.offline) this.#dispatch({ type: "network", gone });
    };
    this.#network.watch(look, signal);
    const timer = setInterval(look, OFFLINE_LOOK_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  #dispatch(event: PlayerEvent): void {
    if (this.signal.aborted) return;
    this.#model = reduce(this.#model, event);
    const state = stateOf(this.#model);
    if (sameState(state, this.#state)) return;
    this.#state = state;
    if (state.kind === "ended" || state.kind === "failed") {
      this.#running.abort();
      this.video.pause();
    }
    this.events.state(state);
  }

  async #play(): Promise<void> {
    if (this.#model.paused || this.#running.signal.aborted) return;
    try {
      await this.video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.#running.signal.aborted) return;
      if (this.video.muted) {
        this.#dispatch({ type: "blocked" });
        return;
      }
      this.#silence();
      await this.#play();
    }
  }

  /** Sound waits for a click, the picture does not. */
  #silence(): void {
    this.video.muted = true;
    this.events.soundBlocked();
  }

  #moving(): void {
    this.#counts.firstPictureMs ??= performance.now() - this.#began;
    if (this.#model.picture !== "moving" || this.#model.blocked) this.#dispatch({ type: "picture" });
  }

  #measure(): void {
    const { video, playback } = this;
    const now = performance.now();
    this.#frames.look(now);
    const { buffered } = video;
    const edge = playback.edge;
    let bufferMs = 0;
    for (let i = 0; i < buffered.length; i++) bufferMs += (buffered.end(i) - buffered.start(i)) * 1000;
    this.stats = {
      latencyMs: this.#frames.latencyMs,
      framesPerSecond: this.#frames.perSecond(now),
      framesDropped: video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
      width: video.videoWidth,
      height: video.videoHeight,
      rendition: this.#renditions.facts,
      bitsPerSecond: this.#bytes.perSecond(now) * 8,
      transport: this.#connection.transportKind,
      viewers: this.#counts.viewers,
      chunksSkipped: this.#counts.skipped,
      tampered: this.options.contentKey === null ? null : this.#unsealing.tampered,
      bufferLeadMs: edge === null ? 0 : (edge - video.currentTime) * 1000,
      bufferMs,
      soundBehindMs: playback.sound?.behind == null ? null : playback.sound.behind * 1000,
      soundGaps: playback.sound?.gaps ?? null,
      playbackRate: video.playbackRate,
      jumps: playback.jumps,
      stalls: playback.stalls,
      reconnects: this.#counts.reconnects,
      firstPictureMs: this.#counts.firstPictureMs,
    };
    this.events.stats(this.stats);
  }
}
