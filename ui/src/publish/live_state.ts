// Whether a broadcast is live, said honestly: it is while what the relay has received grows. Pure: events and times go in.

import type { BroadcastState } from "../host/broadcast";

/** Chunks must arrive at the relay within this time for a stream to be called live. */
export const LIVE_WITHIN_MS = 2000;
/** A connected relay that reports nothing for this long is taken for dead: three lost signs of life. */
export const SILENT_MS_MAX = 8000;

export class LiveWatch {
  #state: BroadcastState = "starting";
  #connected = false;
  #wasLive = false;
  #chunks = 0;
  #grewAtMs = 0;
  #heardAtMs = 0;

  get state(): BroadcastState {
    return this.#state;
  }

  /** A relay is being looked for. */
  connecting(): void {
    if (this.#state === "starting") this.#state = "connecting";
  }

  /** A relay has taken the stream; nothing has arrived there yet. */
  registered(nowMs: number): void {
    this.#connected = true;
    this.#chunks = 0;
    this.#grewAtMs = nowMs;
    this.#heardAtMs = nowMs;
  }

  received(chunks: number, nowMs: number): void {
    this.#heardAtMs = nowMs;
    if (chunks <= this.#chunks || this.#state === "ended") return;
    this.#chunks = chunks;
    this.#grewAtMs = nowMs;
    this.#wasLive = true;
    this.#state = "live";
  }

  /** Any other message of the relay. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  disconnected(): void {
    this.#connected = false;
    if (this.#state === "ended") return;
    this.#state = this.#wasLive ? "reconnecting" : "connecting";
  }

  /** Over for good. */
  ended(): void {
    this.#state = "ended";
  }

  /** Time passes. Answers whether the relay has been silent for so long that the connection should be given up. */
  tick(nowMs: number): boolean {
    if (!this.#connected || this.#state === "ended") return false;
    if (nowMs - this.#grewAtMs > LIVE_WITHIN_MS) this.#state = "stalled";
    return nowMs - this.#heardAtMs > SILENT_MS_MAX;
  }
}
