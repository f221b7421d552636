// One encoder of captured frames, at one size. A codec that fails, or that the browser takes away from a page in the background,
// is replaced by a new one, which begins with a key frame.
import { h264Codecs } from "./codec";
import type { Rendition } from "./small_picture";

/** Frames waiting in the encoder; more would only be delay. */
const QUEUE_MAX = 2;
/** Codecs that may fail one after the other before it is given up. */
const FAILURES_MAX = 3;

/** What is being encoded. */
export interface PictureConfig extends Rendition {
  codec: string;
}

export interface EncodedPicture {
  /** Microseconds since the session began. */
  timeUs: number;
  key: boolean;
  data: Uint8Array;
}

export interface FrameEncoderOptions {
  /** The parameter sets (avcC) of the pictures that follow. */
  onParameters: (config: PictureConfig, avcConfig: Uint8Array) => void;
  onPicture: (picture: EncodedPicture) => void;
  /** The next frame has to be a key frame. */
  onKeyFrameWanted: () => void;
  /** It is given up. */
  onFailed: () => void;
}

export class FrameEncoder {
  config: PictureConfig | undefined;
  #options: FrameEncoderOptions;
  #codec: VideoEncoder | undefined;
  #failures = 0;
  #parameters = "";
  #keyAskedUs = -1;
  #over = false;

  constructor(options: FrameEncoderOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.#codec?.state === "configured";
  }

  /** Whether it is behind with what it was given. */
  get busy(): boolean {
    return (this.#codec?.encodeQueueSize ?? 0) > QUEUE_MAX;
  }

  /** Another picture from now on. The next frame has to be a key frame. */
  configure(config: PictureConfig): void {
    if (this.#over) return;
    this.config = config;
    if (this.#codec?.state !== "configured" && this.#codec?.state !== "unconfigured") this.#codec = this.#newCodec();
    this.#codec.configure(encoderConfig(config));
  }

  /** The same picture with more or fewer bits. */
  tune(bitrate: number, frameRate: number): void {
    const { config } = this;
    if (!config || !this.ready || (config.bitrate === bitrate && config.frameRate === frameRate)) return;
    this.configure({ ...config, bitrate, frameRate });
  }

  encode(frame: VideoFrame, timeUs: number, keyFrame: boolean): void {
    if (!this.ready) return;
    const stamped = new VideoFrame(frame, { timestamp: timeUs });
    this.#codec?.encode(stamped, { keyFrame });
    stamped.close();
    if (keyFrame) this.#keyAskedUs = timeUs;
  }

  close(): void {
    this.#over = true;
    if (this.#codec && this.#codec.state !== "closed") this.#codec.close();
    this.#codec = undefined;
  }

  #newCodec(): VideoEncoder {
    const codec: VideoEncoder = new VideoEncoder({
      output: (chunk, metadata) => this.#output(chunk, metadata),
      error: () => {
        if (this.#codec === codec) this.#replace();
      },
    });
    return codec;
  }

  #replace(): void {
    if (this.#over || !this.config) return;
    this.#failures += 1;
    if (this.#failures > FAILURES_MAX) {
      this.close();
      this.#options.onFailed();
      return;
    }
    this.configure(this.config);
    this.#options.onKeyFrameWanted();
  }

  #output(chunk: EncodedVideoChunk, metadata: EncodedVideoChunkMetadata | undefined): void {
    if (this.#over) return;
    const description = metadata?.decoderConfig?.description;
    if (description) this.#tellParameters(bytesOf(description), chunk.timestamp);
    const data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    this.#failures = 0;
    this.#options.onPicture({ timeUs: chunk.timestamp, key: chunk.type === "key", data });
  }

  /** Some encoders repeat their parameters with every key frame. */
  #tellParameters(avcConfig: Uint8Array, timeUs: number): void {
    const text = String(avcConfig);
    if (text === this.#parameters || !this.config) return;
    this.#parameters = text;
    this.#options.onParameters(this.config, avcConfig);
    // Other parameters have to begin with a segment, and only a key frame that was asked for opens one.
    if (timeUs !== this.#keyAskedUs) this.#options.onKeyFrameWanted();
  }
}

/** A configuration for this picture that the browser really has, or none. */
export async function supportedConfig(picture: Rendition): Promise<PictureConfig | undefined> {
  const { width, height, frameRate } = picture;
  for (const codec of h264Codecs(width, height, frameRate)) {
    const config = { ...picture, codec };
    const { supported } = await VideoEncoder.isConfigSupported(encoderConfig(config)).catch(() => ({
      supported: false,
    }));
    if (supported) return config;
  }
  return undefined;
}

function encoderConfig({ codec, width, height, bitrate, frameRate }: PictureConfig): VideoEncoderConfig {
  return { codec, width, height, bitrate, framerate: frameRate, latencyMode: "realtime", avc: { format: "avc" } };
}

function bytesOf(source: AllowSharedBufferSource): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source).slice();
}
