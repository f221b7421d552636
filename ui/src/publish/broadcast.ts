// One broadcast from this page: capture, encoders, the boxes around their output, and the uplink. Everything ends with one
// AbortController.
import type { Directory } from "../directory/directory";
import type { Broadcast, BroadcastStatus } from "../host/broadcast";
import type { CreatedStream } from "../protocol/generated/CreatedStream";
import type { Order } from "../protocol/generated/Order";
import type { TrackInfo } from "../protocol/generated/TrackInfo";
import type { Visibility } from "../protocol/generated/Visibility";
import { Sealer, StreamKey } from "../protocol/seal";
import { sentence } from "../words/sentence";
import type { Captured } from "./capture";
import type { Quality } from "./codec";
import { chunk, initSegment, SOUND_TIMESCALE } from "./fmp4";
import { metronome } from "./metronome";
import { followOrders } from "./orders";
import { type EncodedPicture, Picture } from "./picture";
import { Rate } from "./rate";
import { type Place, Segments } from "./segments";
import { sentenceOf } from "./sentence";
import { Sound } from "./sound";
import { PACKET_MS } from "./sound_anchor";
import { Uplink } from "./uplink";
import { Wrapping } from "./wrapping";

const VIDEO_TRACK = 1;
const SOUND_TRACK = 2;
/** Samples of 48 kHz that an Opus decoder leaves out at the start (RFC 7845 4.2); libopus has this delay. */
const OPUS_PRE_SKIP = 312;
/** Viewers get stereo; a decoder turns mono packets into it. */
const SOUND_CHANNELS = 2;
/** Status is told to the page this often. */
const STATUS_MS = 250;

export interface BrowserBroadcastOptions {
  directory: Directory;
  watchLink: string;
  created: CreatedStream;
  captured: Captured;
  quality: Quality;
  visibility: Visibility;
  /** Makes the stream end-to-end encrypted: the key that stands in the link. */
  contentKey: string | null;
}

export class BrowserBroadcast implements Broadcast {
  readonly id: string;
  readonly title: string;
  readonly notices: string[];
  readonly visibility: Visibility;
  #options: BrowserBroadcastOptions;
  #originMs = performance.now();
  #over = new AbortController();
  #picture: Picture;
  #sound: Sound | undefined;
  #uplink: Uplink | undefined;
  #wrapping: Wrapping;
  #segments = new Segments();
  #initAtUs = 0;
  #sequences = new Map<number, number>();
  #listeners = new Set<(status: BroadcastStatus) => void>();
  #bytes = new Rate();
  #bytesCounted = 0;
  #frames = new Rate();
  #startedAtMs: number | null = null;
  #failure: string | undefined;
  #toldAtMs = 0;
  #deleted: Promise<void> | undefined;

  constructor(options: BrowserBroadcastOptions) {
    this.#options = options;
    const { created, captured, quality, contentKey } = options;
    this.id = created.id;
    this.title = created.title;
    this.notices = captured.notices;
    this.visibility = options.visibility;
    const sealer = contentKey === null ? null : new Sealer(new StreamKey(contentKey, created.id));
    this.#wrapping = new Wrapping(sealer, (sentence) => this.#end(sentence));
    const signal = this.#over.signal;
    const shared = { originMs: this.#originMs, signal };
    this.#picture = new Picture({
      ...shared,
      track: captured.video,
      quality,
      onParameters: (config, avcConfig) => {
        const { width, height } = config;
        this.#sendInit(VIDEO_TRACK, initSegment({ kind: "video", track: VIDEO_TRACK, width, height, avcConfig }));
      },
      onPicture: (picture) => this.#sendPicture(picture),
      onError: (sentence) => this.#end(sentence),
    });
    if (captured.sound) {
      const onPacket = (timeMs: number, data: Uint8Array) => this.#sendSound(timeMs, data);
      this.#sound = new Sound({ ...shared, track: captured.sound, onPacket });
    }
    captured.video.addEventListener("ended", () => void this.stop(), { once: true });
    window.addEventListener("pagehide", () => void this.stop(), { once: true, signal });
    metronome(() => this.#tick(), signal);
    void this.#picture.ready.then(() => this.#connect());
  }

  get status(): BroadcastStatus {
    const config = this.#picture.config;
    const now = performance.now();
    const state = this.#over.signal.aborted ? "ended" : (this.#uplink?.live.state ?? "starting");
    return {
      state,
      sentence: this.#failure ?? sentenceOf(state, this.#uplink?.behind ?? false),
      failed: this.#failure !== undefined,
      stream: this.id,
      watch_link: this.#options.watchLink,
      sealed: this.#options.contentKey !== null,
      started_at_ms: this.#startedAtMs,
      viewers: this.#uplink?.viewers ?? 0,
      audience: this.#uplink?.audience ?? [],
      bitrate_kbit_s: Math.round((this.#bytes.perSecond(now) * 8) / 1000),
      frame_rate: this.#frames.perSecond(now),
      width: config?.width ?? 0,
      height: config?.height ?? 0,
      dropped_frames: this.#picture.dropped + (this.#uplink?.dropped(VIDEO_TRACK) ?? 0),
      dropped_segments: this.#uplink?.timesBehind ?? 0,
      encoder: config ? `WebCodecs ${config.codec}` : "",
      sound: this.#sound !== undefined,
      relay: this.#uplink?.relay ?? null,
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

  #connect(): void {
    const { directory, created } = this.#options;
    const { signal } = this.#over;
    if (signal.aborted) return;
    this.#uplink = new Uplink({
      assignment: created.assignment,
      reassign: (failed) => directory.assignment(created.id, created.broadcast_key, failed),
      restore: (record) => directory.restore(created.broadcast_key, record),
      openSocket: (url) => new WebSocket(url),
      tracks: () => this.#tracks(),
      now: () => performance.now(),
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
    if (this.#sound) {
      const track = { kind: "sound", track: SOUND_TRACK, channels: SOUND_CHANNELS, preSkip: OPUS_PRE_SKIP } as const;
      this.#sendInit(SOUND_TRACK, initSegment(track));
    }
  }

  #obey(order: Order): void {
    if (order.type === "assignment") this.#uplink?.ordered(order.assignment);
    if (order.type === "end") this.#end(sentence(order.message));
  }

  #tracks(): TrackInfo[] {
    const config = this.#picture.config;
    const video: TrackInfo = {
      track: VIDEO_TRACK,
      kind: "video",
      codec: config?.codec ?? "",
      width: config?.width ?? 0,
      height: config?.height ?? 0,
      frame_rate: config?.frameRate ?? 0,
      sample_rate: 0,
      channels: 0,
    };
    if (!this.#sound) return [video];
    const none = { width: 0, height: 0, frame_rate: 0 };
    const sound = { track: SOUND_TRACK, codec: "opus", sample_rate: SOUND_TIMESCALE, channels: SOUND_CHANNELS };
    return [video, { ...none, ...sound, kind: "sound" }];
  }

  #sendInit(track: number, payload: Uint8Array<ArrayBuffer>): void {
    // Viewers tell a newer init segment from an older one by its time.
    this.#initAtUs = Math.max(this.#initAtUs + 1, this.#capturedAtUs(performance.now() - this.#originMs));
    const place = { segment: 0, chunk: 0, capturedAtUs: this.#initAtUs };
    const header = { kind: "init", key: false, sealed: false, track, ...place } as const;
    this.#wrapping.wrap(header, payload, (message) => this.#uplink?.sendInit(track, message));
  }

  #sendPicture({ timeUs, key, data }: EncodedPicture): void {
    const now = performance.now();
    this.#frames.add(1, now);
    const place = this.#segments.video(key);
    if (!place) return;
    const duration = Math.round(1_000_000 / (this.#picture.config?.frameRate ?? 30));
    this.#sendChunk(VIDEO_TRACK, place, timeUs / 1000, { decodeTime: timeUs, duration, key, data });
  }

  #sendSound(timeMs: number, data: Uint8Array): void {
    const place = this.#segments.sound();
    if (!place) return;
    const perMs = SOUND_TIMESCALE / 1000;
    const duration = PACKET_MS * perMs;
    this.#sendChunk(SOUND_TRACK, place, timeMs, { decodeTime: Math.round(timeMs * perMs), duration, key: true, data });
  }

  #sendChunk(
    track: number,
    place: Place,
    timeMs: number,
    sample: { decodeTime: number; duration: number; key: boolean; data: Uint8Array },
  ): void {
    if (!this.#uplink) return;
    const sequence = (this.#sequences.get(track) ?? 0) + 1;
    this.#sequences.set(track, sequence);
    const payload = chunk({ track, sequence, ...sample });
    const header = { kind: "chunk", sealed: false, track, ...place, capturedAtUs: this.#capturedAtUs(timeMs) } as const;
    this.#wrapping.wrap(header, payload, (message) => this.#uplink?.sendChunk({ track, key: place.key }, message));
  }

  /** The directory's time at `timeMs` of the session, in microseconds. */
  #capturedAtUs(timeMs: number): number {
    const agoMs = performance.now() - (this.#originMs + timeMs);
    return Math.round((this.#options.directory.clock.now() - agoMs) * 1000);
  }

  #tick(): void {
    this.#picture.tick();
    this.#sound?.tick();
    this.#uplink?.tick();
    this.#countBytes();
    if (performance.now() - this.#toldAtMs >= STATUS_MS) this.#tell();
  }

  #countBytes(): void {
    const bytes = this.#uplink?.bytesReceived ?? 0;
    this.#bytes.add(bytes - this.#bytesCounted, performance.now());
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
    const { captured, directory, created } = this.#options;
    captured.stop();
    // `keepalive` lets the call outlive the page. Relays tell viewers already, so a failure here costs only a few seconds.
    this.#deleted = directory.endStream(created.id, created.broadcast_key).catch(() => {});
    this.#tell();
  }
}
