// Opus in, sound out: decodes packets and plays them from a tape in the audio thread. Where on the tape is decided elsewhere. It
// follows the volume of the <video>, and does nothing at all while that is muted.

import type { TrackInfo } from "../../protocol/messages";
import { type FromTape, TAPE, type ToTape } from "./tape_messages";
import workletUrl from "./tape_worklet.ts?worker&url";

/** Opus is decoded to this rate, whatever it was made of. */
const SAMPLE_RATE = 48_000;
/** An output that does not run this long after it was asked to waits for a person's click. Mostly the <video> has said so before. */
const BLOCKED_MS = 2000;
/** Mono is decoded to two channels too. */
const CHANNELS = 2;
/** Changes of the volume are faded over this long. */
const VOLUME_S = 0.01;
/** Packets waiting to be decoded; more are of no use, as they are late by then: it is begun anew. */
const DECODING_MAX = 200;
/** Decoders that may fail in a row before sound is given up. */
const FAILURES_MAX = 3;
/** More has an output never taken in advance: it has lied. */
const AHEAD_S_MAX = 0.5;

export interface SpeakerEvents {
  /** Sound needs a click first. */
  blocked(): void;
  /** There will be no sound from here: this browser can't make it after all. */
  failed(): void;
}

/** What is heard at the moment. */
export interface Output {
  /** In seconds of media time; null before anything is. */
  heard: number | null;
  /** How much was taken from the tape and is not heard yet, in seconds. */
  ahead: number;
  /** Samples that were missing, in all. */
  dry: number;
}

/** Whether this browser can play a track without a MediaSource; only pages of a safe origin can. */
export function canSpeak({ codec, channels }: TrackInfo): boolean {
  return codec === "opus" && channels <= CHANNELS && "AudioDecoder" in globalThis && "AudioWorkletNode" in globalThis;
}

export class Speaker {
  #context: AudioContext | null = null;
  #volume: GainNode | null = null;
  #tape: AudioWorkletNode | null = null;
  #decoder: AudioDecoder | null = null;
  /** When the packets that are being decoded are to be heard. A decoder counts on from its first packet, whatever is missing later. */
  #decoding: number[] = [];
  #failures = 0;
  #everDecoded = false;
  #failed = false;
  #paused = false;
  #pace = 1;
  #turn = 0;
  #told: FromTape | null = null;
  #blockedTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly events: SpeakerEvents,
    private readonly signal: AbortSignal,
  ) {
    video.addEventListener("volumechange", () => this.#follow(), { signal });
    signal.addEventListener("abort", () => this.#close(), { once: true });
    this.#follow();
  }

  /** Whether there is anybody to hear it. */
  get on(): boolean {
    if (this.#failed || this.signal.aborted) return false;
    return !this.#paused && !this.video.muted && this.video.volume > 0;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#follow();
  }

  /** One packet that is to be heard at `time`, in seconds of media time. */
  packet(time: number, data: Uint8Array): void {
    // Nothing comes out for a packet without data.
    if (!this.on || this.#tape === null || data.length === 0) return;
    if (this.#decoding.length > DECODING_MAX) this.#dropDecoder();
    this.#decoder ??= this.#newDecoder();
    if (this.#decoder === null) return;
    this.#decoding.push(time);
    // Every packet of Opus can be decoded by itself.
    this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: Math.round(time * 1e6), data }));
  }

  begin(at: number): void {
    this.#move({ type: "seek", to: at, turn: this.#turn + 1 });
  }

  shift(by: number): void {
    this.#move({ type: "shift", by, turn: this.#turn + 1 });
  }

  /** The timeline began anew. */
  forget(): void {
    this.#failures = 0;
    this.#move({ type: "forget", turn: this.#turn + 1 });
  }

  set pace(pace: number) {
    this.#pace = pace;
    this.#say({ type: "pace", pace });
  }

  /** What is heard now; null while there is no sound, or nothing is known of the last move yet. */
  output(): Output | null {
    const [context, told] = [this.#context, this.#told];
    if (!this.on || context?.state !== "running" || told === null) return null;
    const { contextTime = 0, performanceTime = 0 } = context.getOutputTimestamp();
    const played =
      performanceTime > 0
        ? contextTime + (performance.now() - performanceTime) / 1000
        : context.currentTime - (context.outputLatency || context.baseLatency);
    const ahead = Math.min(AHEAD_S_MAX, Math.max(0, context.currentTime - played));
    const heard = told.position === null ? null : told.position + (context.currentTime - ahead - told.at) * this.#pace;
    return { heard, ahead, dry: told.dry };
  }

  #move(message: ToTape & { turn: number }): void {
    this.#turn = message.turn;
    this.#told = null;
    this.#say(message);
  }

  #say(message: ToTape, transfer: Transferable[] = []): void {
    this.#tape?.port.postMessage(message, transfer);
  }

  /** Does what the <video> says of its volume. */
  #follow(): void {
    if (this.signal.aborted) return;
    const { on } = this;
    if (on && this.#context === null) void this.#open().catch(() => this.#fail());
    const level = on ? this.video.volume : 0;
    if (this.#context) this.#volume?.gain.setTargetAtTime(level, this.#context.currentTime, VOLUME_S);
    clearTimeout(this.#blockedTimer);
    if (!on) {
      // What is decoded by the time that sound is wanted again is another moment's.
      this.forget();
      this.#dropDecoder();
      void this.#context?.suspend().catch(() => {});
      return;
    }
    void this.#context?.resume().catch(() => {});
    this.#blockedTimer = setTimeout(() => this.#lookIfBlocked(), BLOCKED_MS);
  }

  #lookIfBlocked(): void {
    if (this.on && this.#context && this.#context.state !== "running") this.events.blocked();
  }

  async #open(): Promise<void> {
    const context = new AudioContext({ latencyHint: "interactive", sampleRate: SAMPLE_RATE });
    this.#context = context;
    this.#volume = new GainNode(context, { gain: this.video.volume });
    this.#volume.connect(context.destination);
    await context.audioWorklet.addModule(workletUrl);
    if (this.signal.aborted) return;
    const tape = new AudioWorkletNode(context, TAPE, { numberOfInputs: 0, outputChannelCount: [2] });
    tape.port.onmessage = ({ data }: MessageEvent<FromTape>) => {
      if (data.turn === this.#turn) this.#told = data;
    };
    tape.connect(this.#volume);
    this.#tape = tape;
    this.forget();
  }

  #newDecoder(): AudioDecoder | null {
    if (this.#failures > FAILURES_MAX) return null;
    const times: number[] = [];
    this.#decoding = times;
    const decoder: AudioDecoder = new AudioDecoder({
      output: (sound) => this.#decoded(sound, times.shift()),
      error: () => {
        this.#failures += 1;
        if (this.#decoder === decoder) this.#decoder = null;
        // Sound that was decoded before is damaged now: the picture goes on without it.
        if (this.#failures > FAILURES_MAX && !this.#everDecoded) this.#fail();
      },
    });
    decoder.configure({ codec: "opus", sampleRate: SAMPLE_RATE, numberOfChannels: CHANNELS });
    return decoder;
  }

  /** Out of a decoder comes one piece for each packet, in their order. */
  #decoded(sound: AudioData, time: number | undefined): void {
    const format = "f32-planar";
    const left = new Float32Array(sound.numberOfFrames);
    sound.copyTo(left, { planeIndex: 0, format });
    const right = new Float32Array(sound.numberOfFrames);
    sound.copyTo(right, { planeIndex: sound.numberOfChannels > 1 ? 1 : 0, format });
    sound.close();
    this.#failures = 0;
    this.#everDecoded = true;
    if (time !== undefined) this.#say({ type: "write", time, left, right }, [left.buffer, right.buffer]);
  }

  #dropDecoder(): void {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = null;
    this.#decoding = [];
  }

  #fail(): void {
    if (this.#failed || this.signal.aborted) return;
    this.#failed = true;
    this.#close();
    this.events.failed();
  }

  #close(): void {
    clearTimeout(this.#blockedTimer);
    this.#dropDecoder();
    void this.#context?.close().catch(() => {});
    this.#context = null;
  }
}
