// Whether a broadcast is live, said honestly: it is while what the relay has received grows. Pure: events and times go in.

import type { BroadcastState } from "../host/broadcast";

/** Chunks must arrive at the relay within this time for a stream to be called live. */
export const LIVE_WITHIN_MS = 2000;
/** A connection that is back within this time is not spoken of. */
export const CALM_MS = 500;

export class LiveWatch {
  #state: BroadcastState = "starting";
  #connected = false;
  #wasLive = false;
  #chunks = 0;
  #grewAtMs = 0;
  #lostAtMs = 0;

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
  }

  received(chunks: number, nowMs: number): void {
    if (chunks <= this.#chunks || this.#state === "ended") return;
    this.#chunks = chunks;
    this.#grewAtMs = nowMs;
    this.#wasLive = true;
    this.#state = "live";
  }

  disconnected(nowMs: number): void {
    if (this.#connected) this.#lostAtMs = nowMs;
    this.#connected = false;
    if (this.#state !== "ended" && !this.#wasLive) this.#state = "connecting";
  }

  /** Over for good. */
  ended(): void {
    this.#state = "ended";
  }

  /** Time passes. */
  tick(nowMs: number): void {
    if (this.#state === "ended" || (!this.#connected && !this.#wasLive)) return;
    if (!this.#connected && nowMs - this.#lostAtMs >= CALM_MS) this.#state = "reconnecting";
    if (this.#connected && nowMs - this.#grewAtMs > LIVE_WITHIN_MS) this.#state = "stalled";
  }
}
