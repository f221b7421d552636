// One broadcast from this page: capture, encoders, what is made of their output, and the uplink. Everything ends with one
// AbortController.
import type { Directory } from "../directory/directory";
import type { Broadcast, BroadcastStatus, SourceState } from "../host/broadcast";
import type { CreatedStream } from "../protocol/generated/CreatedStream";
import type { Order } from "../protocol/generated/Order";
import type { Visibility } from "../protocol/generated/Visibility";
import { Sealer, StreamKey } from "../protocol/seal";
import { onNetworkChange } from "../transport/network_change";
import { openFrom } from "../transport/page";
import { openWebSocket } from "../transport/websocket";
import { sentence } from "../words/sentence";
import { type Captured, capture } from "./capture";
import type { Quality } from "./codec";
import { MoodWatch } from "./line_mood";
import { metronome } from "./metronome";
import { followOrders } from "./orders";
import { Outgoing, TRACKS, trackList } from "./outgoing";
import { PerSecond } from "./per_second";
import { Picture } from "./picture";
import { sentenceOf } from "./sentence";
import { SOUND_BITRATE, Sound } from "./sound";
import { Uplink } from "./uplink";
import { UplinkRate } from "./uplink_rate";
import { WakeWatch } from "./wake";
import { Wrapping } from "./wrapping";

/** Status is told to the page this often. */
const STATUS_MS = 250;
/** A stream that shows nothing ends after this: somebody has forgotten it. */
const NOTHING_SHOWN_MS_MAX = 300_000;
/** It is spoken of a sleep for this long. */
const WOKE_MS = 15_000;

export interface BrowserBroadcastOptions {
  directory: Directory;
  watchLink: string;
  created: CreatedStream;
  captured: Captured;
  quality: Quality;
  /** A second, smaller picture is sent for viewers on slow lines. */
  smallPicture: boolean;
  visibility: Visibility;
  /** Makes the stream end-to-end encrypted: the key that stands in the link. */
  contentKey: string | null;
}

export class BrowserBroadcast implements Broadcast {
  readonly id: string;
  readonly title: string;
  readonly visibility: Visibility;
  notices: string[];
  #options: BrowserBroadcastOptions;
  #captured: Captured;
  #originMs = performance.now();
  #over = new AbortController();
  #picture: Picture;
  #sound: Sound | undefined;
  #outgoing: Outgoing;
  #uplink: Uplink | undefined;
  #rate: UplinkRate | undefined;
  #mood = new MoodWatch();
  #wake = new WakeWatch(performance.now(), Date.now());
  #wokeAtMs = Number.NEGATIVE_INFINITY;
  #goneAtMs: number | undefined;
  #listeners = new Set<(status: BroadcastStatus) => void>();
  #bytes = new PerSecond();
  #bytesCounted = 0;
  #frames = new PerSecond();
  #startedAtMs: number | null = null;
  #failure: string | undefined;
  #toldAtMs = 0;
  #deleted: Promise<void> | undefined;

  constructor(options: BrowserBroadcastOptions) {
    this.#options = options;
    const { created, captured, contentKey, directory, smallPicture } = options;
    this.id = created.id;
    this.title = created.title;
    this.notices = captured.notices;
    this.visibility = options.visibility;
    this.#captured = captured;
    const { signal } = this.#over;
    const sealer = contentKey === null ? null : new Sealer(new StreamKey(contentKey, created.id));
    this.#outgoing = new Outgoing({
      wrapping: new Wrapping(sealer, (sentence) => this.#end(sentence)),
      clockMs: () => directory.clock.now(),
      sessionMs: () => performance.now() - this.#originMs,
      withSmall: smallPicture,
      sendInit: (track, message) => this.#uplink?.sendInit(track, message),
      sendChunk: (offer, message) => this.#uplink?.sendChunk(offer, message),
    });
    this.#picture = this.#newPicture();
    if (captured.sound) {
      const onPacket = (timeMs: number, data: Uint8Array) => this.#outgoing.sound(timeMs, data);
      this.#sound = new Sound({ originMs: this.#originMs, signal, track: captured.sound, onPacket });
    }
    window.addEventListener("pagehide", () => void this.stop(), { once: true, signal });
    onNetworkChange(() => this.#networkChanged(), signal);
    metronome(() => this.#tick(), signal);
    void this.#picture.ready.then(() => this.#connect());
  }

  get status(): BroadcastStatus {
    const { config } = this.#picture;
    const now = performance.now();
    const state = this.#over.signal.aborted ? "ended" : (this.#uplink?.live.state ?? "starting");
    const bitrate = this.#rate?.bitrate ?? this.#picture.chosen?.bitrate ?? 0;
    const circumstances = {
      state,
      behind: this.#uplink?.behind ?? false,
      line: this.#mood.now(this.#rate ?? { isSlow: false, isAtFloor: false }, this.#uplink?.behind ?? false, now),
      hasSmall: this.#picture.smallConfig !== undefined,
      pictureKbit: bitrate / 1000,
      online: navigator.onLine,
      source: this.#source,
      woke: now - this.#wokeAtMs < WOKE_MS,
    };
    return {
      state,
      sentence: this.#failure ?? sentenceOf(circumstances),
      failed: this.#failure !== undefined,
      stream: this.id,
      watch_link: this.#options.watchLink,
      sealed: this.#options.contentKey !== null,
      started_at_ms: this.#startedAtMs,
      viewers: this.#uplink?.viewers ?? 0,
      audience: this.#uplink?.audience ?? [],
      bitrate_kbit_s: Math.round((this.#bytes.perSecond(now) * 8) / 1000),
      picture_kbit_s: Math.round(bitrate / 1000),
      picture_kbit_s_max: Math.round((this.#picture.chosen?.bitrate ?? 0) / 1000),
      frame_rate: this.#frames.perSecond(now),
      width: config?.width ?? 0,
      height: config?.height ?? 0,
      dropped_frames: this.#picture.dropped + (this.#uplink?.dropped(TRACKS.full) ?? 0),
      dropped_segments: this.#uplink?.timesBehind ?? 0,
      encoder: config ? `WebCodecs ${config.codec}` : "",
      sound: this.#sound !== undefined,
      relay: this.#uplink?.relay ?? null,
      transport: this.#uplink?.transportKind ?? null,
      source: this.#source,
      ends_in_ms: this.#goneAtMs === undefined ? null : Math.max(0, this.#goneAtMs + NOTHING_SHOWN_MS_MAX - now),
    };
  }

  onStatus(listener: (status: BroadcastStatus) => void): () => void {
    this.#listeners.add(listener);
    listener(this.status);
    return () => this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.#end();
    return this.#deleted ?? Promise.resolve();
  }

  removeViewer(viewer: string): Promise<void> {
    const { directory, created } = this.#options;
    return directory.removeViewer(created.id, created.broadcast_key, viewer);
  }

  async shareAnother(): Promise<void> {
    const captured = await capture(this.#options.quality, this.#sound !== undefined);
    if (this.#over.signal.aborted) {
      captured.stop();
      return;
    }
    this.#captured.stop();
    this.#captured = captured;
    this.notices = captured.notices;
    this.#goneAtMs = undefined;
    this.#picture.follow(captured.video);
    this.#sound?.follow(captured.sound);
    this.#tell();
  }

  get #source(): SourceState {
    if (this.#goneAtMs !== undefined) return "gone";
    return this.#captured.video.muted && this.#startedAtMs !== null ? "hidden" : "shown";
  }

  #newPicture(): Picture {
    const { captured, quality, smallPicture } = this.#options;
    return new Picture({
      originMs: this.#originMs,
      signal: this.#over.signal,
      track: captured.video,
      quality,
      withSmall: smallPicture,
      onCut: (timeUs) => this.#outgoing.cut(timeUs),
      onParameters: (which, config, avcConfig) => this.#outgoing.parameters(which, config, avcConfig),
      onPicture: (which, picture) => {
        if (which === "full") this.#frames.add(1, performance.now());
        const config = which === "full" ? this.#picture.config : this.#picture.smallConfig;
        this.#outgoing.picture(which, picture, config?.frameRate ?? 30);
      },
      onSourceGone: () => this.#sourceGone(),
      onError: (sentence) => this.#end(sentence),
    });
  }

  #connect(): void {
    const { directory, created } = this.#options;
    const { signal } = this.#over;
    const { chosen } = this.#picture;
    if (signal.aborted || !chosen) return;
    this.#rate = new UplinkRate(chosen.bitrate, this.#fixedBitrate, performance.now());
    this.#uplink = new Uplink({
      assignment: created.assignment,
      reassign: (failed) => directory.assignment(created.id, created.broadcast_key, failed),
      restore: (record) => directory.restore(created.broadcast_key, record),
      openTransport: openFrom(openWebSocket),
      tracks: () => trackList(this.#picture.chosen, this.#picture.smallConfig, this.#sound !== undefined),
      now: () => performance.now(),
      rate: this.#rate,
      onKeyFrameWanted: () => this.#picture.wantKeyFrame(),
      onChange: () => this.#tell(),
      onEnd: (reason) => this.#end(reason),
    });
    void followOrders({
      listen: (onOrder) => directory.orders(created.id, created.broadcast_key, onOrder, signal),
      onOrder: (order) => this.#obey(order),
      restore: async () => await this.#uplink?.restore(),
      signal,
    });
    if (this.#sound) this.#outgoing.soundBegins();
  }

  #obey(order: Order): void {
    if (order.type === "assignment") this.#uplink?.ordered(order.assignment);
    if (order.type === "end") this.#end(sentence(order.message));
  }

  /** What is sent beside the full picture and does not adapt, in bits per second. */
  get #fixedBitrate(): number {
    return (this.#sound ? SOUND_BITRATE : 0) + (this.#picture.smallConfig?.bitrate ?? 0);
  }

  /** What was shared was closed, or the person has stopped sharing it: viewers must not go on seeing it. */
  #sourceGone(): void {
    this.#goneAtMs = performance.now();
    this.#picture.cover();
    this.#sound?.follow(undefined);
    this.#tell();
  }

  #networkChanged(): void {
    if (navigator.onLine) this.#uplink?.hurry();
    this.#tell();
  }

  #tick(): void {
    const now = performance.now();
    if (this.#wake.tick(now, Date.now()) > 0) this.#woke(now);
    if (this.#goneAtMs !== undefined && now - this.#goneAtMs >= NOTHING_SHOWN_MS_MAX) {
      this.#end("Nothing was shared for five minutes, so your stream was ended.");
      return;
    }
    this.#picture.tick();
    this.#sound?.tick();
    this.#uplink?.tick();
    this.#adapt();
    this.#countBytes(now);
    if (now - this.#toldAtMs >= STATUS_MS) this.#tell();
  }

  /** The machine was asleep: its clock may have stood still, and its connections are most likely gone. */
  #woke(now: number): void {
    this.#wokeAtMs = now;
    void this.#options.directory.clock.again();
    this.#picture.wantKeyFrame();
    this.#uplink?.hurry();
  }

  #adapt(): void {
    const { chosen } = this.#picture;
    if (!chosen || !this.#rate) return;
    if (chosen.bitrate !== this.#rate.configured) this.#rate.configure(chosen.bitrate, this.#fixedBitrate);
    this.#picture.adapt(this.#rate.bitrate, this.#rate.halvesFrames);
  }

  #countBytes(now: number): void {
    const bytes = this.#uplink?.bytesReceived ?? 0;
    this.#bytes.add(bytes - this.#bytesCounted, now);
    this.#bytesCounted = bytes;
  }

  #tell(): void {
    this.#toldAtMs = performance.now();
    if (this.#uplink?.live.state === "live") this.#startedAtMs ??= Date.now();
    const status = this.status;
    for (const listener of this.#listeners) listener(status);
  }

  #end(failure?: string): void {
    if (this.#over.signal.aborted) return;
    this.#failure = failure;
    this.#uplink?.end();
    this.#over.abort();
    this.#captured.stop();
    const { directory, created } = this.#options;
    // `keepalive` lets the call outlive the page. Relays tell viewers already, so a failure here costs only a few seconds.
    this.#deleted = directory.endStream(created.id, created.broadcast_key).catch(() => {});
    this.#tell();
  }
}
