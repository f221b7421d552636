// Encodes the captured picture. A still screen delivers no frames, so the last one is encoded again now and then: viewers keep
// getting a live stream, and it gets sharper. When the encoder is behind, the newest frame wins.
import { bitrateFor, encodedSize, h264Codecs, QUALITIES, type Quality } from "./codec";
import { eachFrame } from "./frames";

/** A still picture is repeated after this time. Players stretch a frame over at most a second. */
const REPEAT_MS = 400;
/** The longest time between key frames: what a late viewer waits for at most. The same on every kind of broadcaster. */
const KEY_FRAME_MS = 2000;
/** A wanted key frame is made of the last frame when no new one comes within this time. */
const WANTED_MS = 80;
/** Frames waiting in the encoder; more would only be delay. */
const ENCODE_QUEUE_MAX = 2;
/** A window that is being resized gets a new encoder only when it has kept its size for this long. */
const RESIZE_MS = 400;
/** Encoders that may fail one after the other before it is given up. */
const ENCODER_FAILURES_MAX = 3;

/** What is being encoded. */
export interface PictureConfig {
  codec: string;
  width: number;
  height: number;
  frameRate: number;
  bitrate: number;
}

export interface EncodedPicture {
  /** Microseconds since the session began. */
  timeUs: number;
  key: boolean;
  data: Uint8Array;
}

export interface PictureOptions {
  track: MediaStreamVideoTrack;
  quality: Quality;
  /** `performance.now()` when the session began. */
  originMs: number;
  signal: AbortSignal;
  /** The parameter sets (avcC) of the pictures that follow. */
  onParameters: (config: PictureConfig, avcConfig: Uint8Array) => void;
  onPicture: (picture: EncodedPicture) => void;
  onError: (sentence: string) => void;
}

export class Picture {
  /** Frames that were left out because the encoder was behind. */
  dropped = 0;
  encoded = 0;
  config: PictureConfig | undefined;
  #options: PictureOptions;
  #encoder: VideoEncoder | undefined;
  #last: VideoFrame | undefined;
  #lastAtMs = 0;
  #lastTimeUs = -1;
  #lastKeyMs = Number.NEGATIVE_INFINITY;
  #keyWanted = true;
  #configuring = false;
  #sizeChangedMs: number | undefined;
  #failures = 0;
  #parameters = "";
  #ready: (() => void) | undefined;
  /** Resolves when the first frame has come and the encoder is set up for it. */
  readonly ready = new Promise<void>((resolve) => {
    this.#ready = resolve;
  });

  constructor(options: PictureOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#close(), { once: true });
    eachFrame(options.track, (frame) => this.#take(frame), options.signal).catch(() =>
      options.onError("The browser stopped handing over the picture."),
    );
  }

  /** Makes the next picture a key frame, and sees to it that there is one soon. */
  wantKeyFrame(): void {
    this.#keyWanted = true;
  }

  /** Time passes; several times a second. */
  tick(): void {
    const now = performance.now();
    const quietMs = now - this.#lastAtMs;
    const keyDue = this.#keyWanted || now - this.#lastKeyMs >= KEY_FRAME_MS - WANTED_MS;
    const due = quietMs >= REPEAT_MS || (keyDue && quietMs >= WANTED_MS);
    if (this.#last && due) this.#encode(this.#last);
  }

  #take(frame: VideoFrame): void {
    this.#last?.close();
    this.#last = frame.clone();
    this.#followSize(frame);
    this.#encode(frame);
  }

  #followSize(frame: VideoFrame): void {
    const size = encodedSize(frame.displayWidth, frame.displayHeight, this.#options.quality);
    if (size.width === this.config?.width && size.height === this.config.height) {
      this.#sizeChangedMs = undefined;
      return;
    }
    const now = performance.now();
    this.#sizeChangedMs ??= now;
    const settled = !this.config || now - this.#sizeChangedMs >= RESIZE_MS;
    if (settled && !this.#configuring) void this.#configure(size.width, size.height);
  }

  async #configure(width: number, height: number): Promise<void> {
    this.#configuring = true;
    const { signal, quality, onError } = this.#options;
    const config = await supportedConfig(width, height, quality);
    this.#configuring = false;
    if (signal.aborted) return;
    if (!config) {
      onError(`This browser can't encode H.264 at ${width} × ${height}.`);
      return;
    }
    this.config = config;
    this.#sizeChangedMs = undefined;
    this.#keyWanted = true;
    this.#encoder ??= this.#newEncoder();
    this.#encoder.configure(encoderConfig(config));
    this.#ready?.();
  }

  #newEncoder(): VideoEncoder {
    const encoder: VideoEncoder = new VideoEncoder({
      output: (chunk, metadata) => this.#output(chunk, metadata),
      error: () => {
        if (this.#encoder === encoder) this.#replaceEncoder();
      },
    });
    return encoder;
  }

  #replaceEncoder(): void {
    if (this.#options.signal.aborted || !this.config) return;
    this.#failures += 1;
    if (this.#failures > ENCODER_FAILURES_MAX) {
      this.#options.onError("The browser's video encoder has failed several times.");
      return;
    }
    this.#keyWanted = true;
    this.#encoder = this.#newEncoder();
    this.#encoder.configure(encoderConfig(this.config));
  }

  #encode(frame: VideoFrame): void {
    const encoder = this.#encoder;
    if (encoder?.state !== "configured") return;
    if (encoder.encodeQueueSize > ENCODE_QUEUE_MAX) {
      this.dropped += 1;
      return;
    }
    // Stamped by arrival: the clocks of captured pictures and captured sound have different origins.
    const now = performance.now();
    const timestamp = Math.max(Math.round((now - this.#options.originMs) * 1000), this.#lastTimeUs + 1);
    const keyFrame = this.#keyWanted || now - this.#lastKeyMs >= KEY_FRAME_MS - WANTED_MS;
    const stamped = new VideoFrame(frame, { timestamp });
    encoder.encode(stamped, { keyFrame });
    stamped.close();
    this.#lastAtMs = now;
    this.#lastTimeUs = timestamp;
    if (keyFrame) {
      this.#keyWanted = false;
      this.#lastKeyMs = now;
    }
  }

  #output(chunk: EncodedVideoChunk, metadata: EncodedVideoChunkMetadata | undefined): void {
    if (this.#options.signal.aborted) return;
    const description = metadata?.decoderConfig?.description;
    if (description && this.config) this.#tellParameters(bytesOf(description));
    const data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    this.encoded += 1;
    this.#failures = 0;
    this.#options.onPicture({ timeUs: chunk.timestamp, key: chunk.type === "key", data });
  }

  /** Some encoders repeat their parameters with every key frame. */
  #tellParameters(avcConfig: Uint8Array): void {
    const text = String(avcConfig);
    if (text === this.#parameters || !this.config) return;
    this.#parameters = text;
    this.#options.onParameters(this.config, avcConfig);
  }

  #close(): void {
    this.#last?.close();
    this.#last = undefined;
    if (this.#encoder && this.#encoder.state !== "closed") this.#encoder.close();
    this.#encoder = undefined;
  }
}

/** A configuration for this size that the browser really has, or none. */
export async function supportedConfig(
  width: number,
  height: number,
  quality: Quality,
): Promise<PictureConfig | undefined> {
  const { frameRate } = QUALITIES[quality];
  const bitrate = bitrateFor(width, height, quality);
  for (const codec of h264Codecs(width, height, frameRate)) {
    const config = { codec, width, height, frameRate, bitrate };
    const { supported } = await VideoEncoder.isConfigSupported(encoderConfig(config)).catch(() => ({
      supported: false,
    }));
    if (supported) return config;
  }
  return undefined;
}

function encoderConfig(config: PictureConfig): VideoEncoderConfig {
  const { codec, width, height, bitrate, frameRate } = config;
  return {
    codec,
    width,
    height,
    bitrate,
    framerate: frameRate,
    latencyMode: "realtime",
    avc: { format: "avc" },
  };
}

function bytesOf(source: AllowSharedBufferSource): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source).slice();
}
