// Puts what the encoders give into boxes, numbers it, stamps it with the directory's time, and wraps it into messages.
import type { TrackInfo } from "../protocol/generated/TrackInfo";
import { chunk, initSegment, type Sample, SOUND_TIMESCALE } from "./fmp4";
import type { EncodedPicture, PictureConfig } from "./frame_encoder";
import type { Which } from "./picture";
import { type Place, Segments } from "./segments";
import type { Offer } from "./send_gate";
import { PACKET_MS } from "./sound_anchor";
import type { Wrapping } from "./wrapping";

/** The tracks' numbers. */
export const TRACKS = { full: 1, sound: 2, small: 3 } as const;

/** Samples of 48 kHz that an Opus decoder leaves out at the start (RFC 7845 4.2); libopus has this delay. */
const OPUS_PRE_SKIP = 312;
/** Viewers get stereo; a decoder turns mono packets into it. */
const SOUND_CHANNELS = 2;
/** The directory's clock is measured anew now and then; less than this is the measurement's own doubt. */
const CLOCK_STEP_US_MIN = 1000;

export interface OutgoingOptions {
  wrapping: Wrapping;
  /** The directory's time in milliseconds. */
  clockMs: () => number;
  /** Milliseconds since the session began. */
  sessionMs: () => number;
  /** Whether a small picture stands in for the full one where that does not get through. */
  withSmall: boolean;
  sendInit: (track: number, message: Uint8Array<ArrayBuffer>) => void;
  sendChunk: (offer: Offer, message: Uint8Array<ArrayBuffer>) => void;
}

export class Outgoing {
  #options: OutgoingOptions;
  #segments = new Segments();
  #sequences = new Map<number, number>();
  #initAtUs = 0;
  /** The directory's time when the session began, in microseconds. */
  #zeroUs = Number.NEGATIVE_INFINITY;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** The frame of this time becomes the key frame of every picture, with one number and one time on all tracks. */
  cut(timeUs: number): void {
    this.#segments.cut(timeUs);
    this.#readClock();
  }

  parameters(which: Which, { width, height }: PictureConfig, avcConfig: Uint8Array): void {
    const track = TRACKS[which];
    this.#sendInit(track, initSegment({ kind: "video", track, width, height, avcConfig }));
  }

  picture(which: Which, { timeUs, key, data }: EncodedPicture, frameRate: number): void {
    const track = TRACKS[which];
    const place = this.#segments.picture(track, timeUs, key);
    if (!place) return;
    const duration = Math.round(1_000_000 / frameRate);
    this.#sendChunk(track, place, timeUs, { decodeTime: timeUs, duration, key, data });
  }

  soundBegins(): void {
    const track = TRACKS.sound;
    this.#sendInit(track, initSegment({ kind: "sound", track, channels: SOUND_CHANNELS, preSkip: OPUS_PRE_SKIP }));
  }

  sound(timeMs: number, data: Uint8Array): void {
    const place = this.#segments.sound();
    if (!place) return;
    const perMs = SOUND_TIMESCALE / 1000;
    const decodeTime = Math.round(timeMs * perMs);
    this.#sendChunk(TRACKS.sound, place, timeMs * 1000, { decodeTime, duration: PACKET_MS * perMs, key: true, data });
  }

  #sendInit(track: number, payload: Uint8Array<ArrayBuffer>): void {
    this.#readClock();
    // Viewers tell a newer init segment from an older one by its time.
    this.#initAtUs = Math.max(this.#initAtUs + 1, Math.round(this.#zeroUs + this.#options.sessionMs() * 1000));
    const header = { kind: "init", key: false, sealed: false, track, segment: 0, chunk: 0 } as const;
    const send = (message: Uint8Array<ArrayBuffer>) => this.#options.sendInit(track, message);
    this.#options.wrapping.wrap({ ...header, capturedAtUs: this.#initAtUs }, payload, send);
  }

  #sendChunk(track: number, place: Place, timeUs: number, sample: Omit<Sample, "track" | "sequence">): void {
    const sequence = (this.#sequences.get(track) ?? 0) + 1;
    this.#sequences.set(track, sequence);
    const payload = chunk({ track, sequence, ...sample });
    const capturedAtUs = Math.round(this.#zeroUs + timeUs);
    const spare = this.#options.withSmall && track === TRACKS.full;
    const sound = track === TRACKS.sound;
    const send = (message: Uint8Array<ArrayBuffer>) =>
      this.#options.sendChunk({ track, key: place.key, spare, sound }, message);
    this.#options.wrapping.wrap({ kind: "chunk", sealed: false, track, ...place, capturedAtUs }, payload, send);
  }

  #readClock(): void {
    const zeroUs = (this.#options.clockMs() - this.#options.sessionMs()) * 1000;
    if (Math.abs(zeroUs - this.#zeroUs) >= CLOCK_STEP_US_MIN) this.#zeroUs = zeroUs;
  }
}

/** What relays and viewers are told of the tracks. The full picture comes first: it is what viewers get who choose nothing. */
export function trackList(
  full: PictureConfig | undefined,
  small: PictureConfig | undefined,
  withSound: boolean,
): TrackInfo[] {
  const video = (track: number, config: PictureConfig | undefined): TrackInfo => ({
    track,
    kind: "video",
    codec: config?.codec ?? "",
    width: config?.width ?? 0,
    height: config?.height ?? 0,
    frame_rate: config?.frameRate ?? 0,
    sample_rate: 0,
    channels: 0,
  });
  const none = { width: 0, height: 0, frame_rate: 0 };
  const sound = { track: TRACKS.sound, codec: "opus", sample_rate: SOUND_TIMESCALE, channels: SOUND_CHANNELS };
  return [
    video(TRACKS.full, full),
    ...(small ? [video(TRACKS.small, small)] : []),
    ...(withSound ? [{ ...none, ...sound, kind: "sound" } as const] : []),
  ];
}
