// Encodes the captured sound to Opus and keeps it on the pictures' clock. The packets' own times are not used: see sound_anchor.
import { eachSound } from "./frames";
import { PACKET_MS, SILENT_PACKET, SoundAnchor } from "./sound_anchor";

/** Bits per second: transparent for music in stereo. */
export const SOUND_BITRATE = 128_000;
/** Captured blocks (10 ms each) waiting in the encoder; more would only be delay. */
const ENCODE_QUEUE_MAX = 25;

export interface SoundOptions {
  track: MediaStreamAudioTrack;
  /** `performance.now()` when the session began. */
  originMs: number;
  signal: AbortSignal;
  /** One packet of 20 ms, `timeMs` since the session began. */
  onPacket: (timeMs: number, data: Uint8Array) => void;
}

export class Sound {
  #options: SoundOptions;
  #anchor = new SoundAnchor();
  #encoder: AudioEncoder | undefined;
  #format = "";
  #source: AbortController | undefined;

  constructor(options: SoundOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#close(), { once: true });
    this.follow(options.track);
  }

  /** Sends another track's sound from now on, or silence. */
  follow(track: MediaStreamAudioTrack | undefined): void {
    this.#source?.abort();
    this.#source = new AbortController();
    const signal = AbortSignal.any([this.#source.signal, this.#options.signal]);
    // Without captured sound the silence of `tick` keeps the track alive.
    if (track) eachSound(track, (data) => this.#take(data), signal).catch(() => {});
  }

  /** Time passes; several times a second. */
  tick(): void {
    this.#silence(this.#anchor.quiet(this.#nowMs()));
  }

  #nowMs(): number {
    return performance.now() - this.#options.originMs;
  }

  #take(data: AudioData): void {
    // What is asked for is not always what is given: 44.1 kHz or mono. The encoder takes both.
    const format = `${data.sampleRate}/${data.numberOfChannels}`;
    if (format !== this.#format || this.#encoder?.state !== "configured") this.#configure(format, data);
    if (!this.#encoder || this.#encoder.encodeQueueSize > ENCODE_QUEUE_MAX) return;
    this.#encoder.encode(data);
  }

  #configure(format: string, { sampleRate, numberOfChannels }: AudioData): void {
    this.#format = format;
    if (this.#encoder?.state !== "configured") {
      this.#encoder = new AudioEncoder({ output: (chunk) => this.#output(chunk), error: () => {} });
    }
    this.#encoder.configure({
      codec: "opus",
      sampleRate,
      numberOfChannels,
      bitrate: SOUND_BITRATE,
      opus: { frameDuration: PACKET_MS * 1000 },
    });
  }

  #output(chunk: EncodedAudioChunk): void {
    if (this.#options.signal.aborted) return;
    const { silentPackets, keep } = this.#anchor.packet(this.#nowMs());
    this.#silence(silentPackets);
    if (!keep) return;
    const data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    this.#send(data);
  }

  #silence(packets: number): void {
    for (let sent = 0; sent < packets; sent += 1) this.#send(SILENT_PACKET);
  }

  #send(data: Uint8Array): void {
    this.#options.onPacket(this.#anchor.endMs, data);
    this.#anchor.sent();
  }

  #close(): void {
    if (this.#encoder && this.#encoder.state !== "closed") this.#encoder.close();
    this.#encoder = undefined;
  }
}
