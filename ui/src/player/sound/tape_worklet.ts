// The tape in the audio thread: hears what the page says, fills what is asked for, tells where it is.

import { Tape } from "./tape";
import { type FromTape, TAPE, type ToTape } from "./tape_messages";

// What an AudioWorkletGlobalScope has; TypeScript's library knows the page's side alone.
declare const sampleRate: number;
declare const currentTime: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** How often it is told where the head is, in seconds: as often as the page looks. */
const TELL_S = 0.1;

class TapeProcessor extends AudioWorkletProcessor {
  readonly #tape = new Tape(sampleRate);
  #pace = 1;
  #turn = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ToTape>) => this.#hear(data);
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const [left, right] = outputs[0] ?? [];
    if (left && right) {
      if (currentTime - this.#toldAt >= TELL_S) this.#tell();
      this.#tape.read([left, right], this.#pace);
    }
    return true;
  }

  #hear(message: ToTape): void {
    if (message.type === "write") this.#tape.write(message.time, [message.left, message.right]);
    else if (message.type === "pace") this.#pace = message.pace;
    else {
      if (message.type === "forget") this.#tape.forget();
      if (message.type === "seek") this.#tape.seek(message.to);
      if (message.type === "shift") this.#tape.seek((this.#tape.position ?? 0) + message.by);
      this.#turn = message.turn;
      // The next quantum tells where that has led.
      this.#toldAt = Number.NEGATIVE_INFINITY;
    }
  }

  #tell(): void {
    this.#toldAt = currentTime;
    const { position, dry } = this.#tape;
    this.port.postMessage({ at: currentTime, position, dry, turn: this.#turn } satisfies FromTape);
  }
}

registerProcessor(TAPE, TapeProcessor);
