// Encodes the captured picture, and where it is wanted a second, smaller one of the same frames. A still screen delivers no frames,
// so the last one is encoded again now and then: viewers keep getting a live stream, and it gets sharper. When the encoder is
// behind, the newest frame wins.
import { BitBudget } from "./bit_budget";
import { bitrateFor, encodedSize, QUALITIES, type Quality } from "./codec";
import { type EncodedPicture, FrameEncoder, type PictureConfig, supportedConfig } from "./frame_encoder";
import { FramePace } from "./frame_pace";
import { eachFrame } from "./frames";
import { PictureScale, scaledSize } from "./picture_scale";
import { smallPictureOf } from "./small_picture";
import { standIn } from "./stand_in";

/** A still picture is repeated after this time. Players stretch a frame over at most a second. */
const REPEAT_MS = 400;
/** The longest time between key frames: what a late viewer waits for at most. The same on every kind of broadcaster. */
const KEY_FRAME_MS = 2000;
/** A wanted key frame is made of the last frame when no new one comes within this time. */
const WANTED_MS = 80;
/** A window that is being resized gets a new encoder only when it has kept its size for this long. */
const RESIZE_MS = 400;

/** `full`: the picture as it was chosen; `small`: the one for slow viewers. */
export type Which = "full" | "small";

export interface PictureOptions {
  track: MediaStreamVideoTrack;
  quality: Quality;
  /** A second, smaller picture is made too. */
  withSmall: boolean;
  /** `performance.now()` when the session began. */
  originMs: number;
  signal: AbortSignal;
  /** The frame of this time, in microseconds since the session began, is to become a key frame of every picture. */
  onCut: (timeUs: number) => void;
  /** The parameter sets (avcC) of the pictures that follow. */
  onParameters: (which: Which, config: PictureConfig, avcConfig: Uint8Array) => void;
  onPicture: (which: Which, picture: EncodedPicture) => void;
  /** The track that is shown has ended. */
  onSourceGone: () => void;
  /** It is over for good, and why in words. */
  onError: (sentence: string) => void;
}

export class Picture {
  /** Frames that were left out because the encoder was behind. */
  dropped = 0;
  /** What was chosen, at the size that is captured; bits and frames may be fewer on a slow line. */
  chosen: PictureConfig | undefined;
  #options: PictureOptions;
  #full: FrameEncoder;
  #small: FrameEncoder | undefined;
  #source: AbortController | undefined;
  #last: VideoFrame | undefined;
  #lastAtMs = 0;
  #lastTimeUs = -1;
  #lastKeyMs = Number.NEGATIVE_INFINITY;
  #keyWanted = true;
  #configuring = false;
  #sizeChangedMs: number | undefined;
  #sizeIsNew = false;
  #wanted: { bitrate: number; halvesFrames: boolean } | undefined;
  #halvesFrames = false;
  #budget = new BitBudget();
  #scale = new PictureScale();
  #fullPace = new FramePace();
  #smallPace = new FramePace();
  #ready: (() => void) | undefined;
  /** Resolves when the first frame has come and the encoder is set up for it. */
  readonly ready = new Promise<void>((resolve) => {
    this.#ready = resolve;
  });

  constructor(options: PictureOptions) {
    this.#options = options;
    this.#full = this.#encoder("full", () => options.onError(ENCODER_FAILED));
    // Without the small picture a stream is what it would be if nobody had asked for one.
    if (options.withSmall) this.#small = this.#encoder("small", () => {});
    options.signal.addEventListener("abort", () => this.#close(), { once: true });
    this.follow(options.track);
  }

  /** Shows another track from now on. */
  follow(track: MediaStreamVideoTrack): void {
    this.#source?.abort();
    const source = new AbortController();
    this.#source = source;
    this.#sizeIsNew = true;
    const signal = AbortSignal.any([source.signal, this.#options.signal]);
    const gone = () => {
      if (!signal.aborted) this.#options.onSourceGone();
    };
    eachFrame(track, (frame) => this.#take(frame), signal).then(gone, gone);
  }

  /** Shows a card in place of the last picture. */
  cover(): void {
    const size = this.#full.config;
    const card = size && standIn(size.width, size.height);
    if (!card) return;
    this.#last?.close();
    this.#last = card;
    this.#keyWanted = true;
  }

  /** The picture as it is encoded now. */
  get config(): PictureConfig | undefined {
    return this.#full.config;
  }

  get smallConfig(): PictureConfig | undefined {
    return this.#small?.config;
  }

  /** The full picture's bits per second, and whether every other frame is left out. More comes with the next key frame, less at once. */
  adapt(bitrate: number, halvesFrames: boolean): void {
    this.#wanted = { bitrate, halvesFrames };
    const { chosen } = this;
    const { config } = this.#full;
    if (!chosen || !config) return;
    if (bitrate < config.bitrate) this.#tune();
    this.#scale.look(bitrate, bitrate < chosen.bitrate, performance.now());
    const { width, height } = scaledSize(chosen, this.#scale.scale);
    const other = width !== config.width || height !== config.height;
    if (other && !this.#configuring) void this.#configure(chosen.width, chosen.height);
  }

  /** Makes the next picture a key frame, and sees to it that there is one soon. */
  wantKeyFrame(): void {
    this.#keyWanted = true;
  }

  /** Time passes; several times a second. */
  tick(): void {
    const now = performance.now();
    const quietMs = now - this.#lastAtMs;
    const due = quietMs >= REPEAT_MS || (this.#keyDue(now) && quietMs >= WANTED_MS);
    if (this.#last && due) this.#encode(this.#last, true);
  }

  #encoder(which: Which, onFailed: () => void): FrameEncoder {
    const { onParameters, onPicture } = this.#options;
    return new FrameEncoder({
      onParameters: (config, avcConfig) => onParameters(which, config, avcConfig),
      onPicture: (picture) => {
        if (which === "full") this.#spent(picture.data.length);
        onPicture(which, picture);
      },
      onKeyFrameWanted: () => this.wantKeyFrame(),
      onFailed,
    });
  }

  #spent(bytes: number): void {
    this.#budget.spent(bytes, this.#full.config?.bitrate ?? 0, performance.now());
    this.#scale.spent(bytes);
  }

  #keyDue(now: number): boolean {
    return this.#keyWanted || now - this.#lastKeyMs >= KEY_FRAME_MS - WANTED_MS;
  }

  #take(frame: VideoFrame): void {
    this.#last?.close();
    this.#last = frame.clone();
    this.#followSize(frame);
    this.#encode(frame, false);
  }

  #followSize(frame: VideoFrame): void {
    const size = encodedSize(frame.displayWidth, frame.displayHeight, this.#options.quality);
    if (size.width === this.chosen?.width && size.height === this.chosen.height) {
      this.#sizeChangedMs = undefined;
      this.#sizeIsNew = false;
      return;
    }
    const now = performance.now();
    this.#sizeChangedMs ??= now;
    const settled = this.#sizeIsNew || now - this.#sizeChangedMs >= RESIZE_MS;
    if (settled && !this.#configuring) void this.#configure(size.width, size.height);
  }

  async #configure(width: number, height: number): Promise<void> {
    this.#configuring = true;
    const { signal, quality, onError } = this.#options;
    const bitrate = bitrateFor(width, height, quality);
    const wanted = { width, height, frameRate: QUALITIES[quality].frameRate, bitrate };
    const config = await supportedConfig(wanted);
    const scaled = await supportedConfig({ ...wanted, ...scaledSize(wanted, this.#scale.scale) });
    const small = this.#small && (await supportedConfig(smallPictureOf(wanted)));
    this.#configuring = false;
    if (signal.aborted) return;
    if (!config || !scaled) {
      onError(
        `This browser can't encode H.264 at ${width} × ${height}. Share something smaller, or choose another picture.`,
      );
      return;
    }
    this.chosen = config;
    this.#sizeChangedMs = undefined;
    this.#sizeIsNew = false;
    this.#keyWanted = true;
    this.#full.configure(this.#tuned(scaled));
    const sameSmall = small?.width === this.#small?.config?.width && small?.height === this.#small?.config?.height;
    if (small && !sameSmall) this.#small?.configure(small);
    this.#ready?.();
  }

  /** A configuration with what the line bears. */
  #tuned(config: PictureConfig): PictureConfig {
    this.#halvesFrames = this.#wanted?.halvesFrames ?? false;
    const bitrate = Math.min(this.#wanted?.bitrate ?? config.bitrate, config.bitrate);
    return { ...config, bitrate, frameRate: config.frameRate / (this.#halvesFrames ? 2 : 1) };
  }

  #tune(): void {
    if (!this.chosen) return;
    const { bitrate, frameRate } = this.#tuned(this.chosen);
    this.#full.tune(bitrate, frameRate);
  }

  #encode(frame: VideoFrame, repeated: boolean): void {
    if (!this.#full.ready) return;
    const now = performance.now();
    const keyFrame = this.#keyDue(now);
    const { bitrate = 0, frameRate = 30 } = this.#full.config ?? {};
    if (!keyFrame && !repeated && this.#halvesFrames && !this.#fullPace.takes(now, frameRate)) return;
    // On a slow line the picture must not take more than it may, however much it moves.
    const tooMuch = !keyFrame && bitrate < (this.chosen?.bitrate ?? 0) && !this.#budget.allows(bitrate, now);
    if (!repeated) this.#scale.frame(tooMuch);
    if (this.#full.busy || tooMuch) {
      this.dropped += 1;
      return;
    }
    // Stamped by arrival: the clocks of captured pictures and captured sound have different origins.
    const timeUs = Math.max(Math.round((now - this.#options.originMs) * 1000), this.#lastTimeUs + 1);
    if (keyFrame) {
      this.#tune();
      this.#options.onCut(timeUs);
      this.#fullPace.took(now);
      this.#smallPace.took(now);
      this.#keyWanted = false;
      this.#lastKeyMs = now;
    }
    this.#full.encode(frame, timeUs, keyFrame);
    this.#encodeSmall(frame, timeUs, keyFrame, repeated, now);
    this.#lastAtMs = now;
    this.#lastTimeUs = timeUs;
  }

  #encodeSmall(frame: VideoFrame, timeUs: number, keyFrame: boolean, repeated: boolean, now: number): void {
    const small = this.#small;
    if (!small?.config) return;
    const due = keyFrame || repeated || this.#smallPace.takes(now, small.config.frameRate);
    // A key frame that is missing here would be missed for a whole segment.
    if (due && (keyFrame || !small.busy)) small.encode(frame, timeUs, keyFrame);
  }

  #close(): void {
    this.#last?.close();
    this.#last = undefined;
    this.#full.close();
    this.#small?.close();
  }
}

const ENCODER_FAILED =
  "The browser's video encoder has failed several times. Close other programs that use video, reload this page and go live again.";
