// Keeps a viewer connected: asks the directory, goes through the relays it names, and starts over for as long as the stream
// lives. Knows nothing of pictures.

import type { MediaMessage } from "../protocol/media_message";
import type { RelayAddress, ToViewer, WatchAnswer } from "../protocol/messages";
import { Admissions, BUSY_MS, type Passwords, type WatchApi } from "./admission";
import { pauseBefore } from "./backoff";
import { RelayRound } from "./relay_round";
import type { FailureCode } from "./state";
import { type Outcome, Stay } from "./stay";
import type { OpenTransport } from "./transport/transport";

/** A relay that served for this long was healthy: the next attempt comes at once. */
export const HEALTHY_MS = 3000;

export interface ConnectionEvents {
  answered(answer: WatchAnswer): void;
  watching(message: Extract<ToViewer, { type: "watching" }>): void;
  media(message: MediaMessage): void;
  skipped(track: number, chunks: number): void;
  viewers(count: number): void;
  broadcaster(present: boolean): void;
  /** The connection is gone; `attempt` counts from 1 the attempts since, `busy` when a server asked for patience. */
  lost(attempt: number, busy: boolean): void;
  ended(): void;
  failed(code: FailureCode, message: string): void;
}

export interface ConnectionOptions {
  streamId: string;
  api: WatchApi;
  passwords: Passwords;
  openTransport: OpenTransport;
  events: ConnectionEvents;
  signal: AbortSignal;
  random?: () => number;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #random: () => number;
  readonly #admissions: Admissions;
  #failures = 0;
  /** The newest answer of the directory. */
  #answer: WatchAnswer | null = null;
  /** The relay whose failure the directory has not been told of. */
  #failed: string | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    const { streamId, api, passwords, signal } = options;
    this.#admissions = new Admissions(streamId, api, passwords, signal, this.#random);
  }

  /** Runs until the stream has ended, failed for good, or the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { signal, events } = this.#options;
    while (!signal.aborted) {
      const admission = await this.#admissions.ask(this.#failed);
      if (signal.aborted) return;
      switch (admission.kind) {
        case "in":
          this.#failed = null;
          events.answered(admission.answer);
          this.#answer = admission.answer;
          if (admission.answer.assignment.relays.length === 0) await this.#pause(0, false);
          else if (await this.#goThrough(admission.answer)) return;
          break;
        case "again":
          await this.#pause(admission.waitMs, admission.busy);
          // While the directory is away the relays that it has named are still good, and so is the ticket.
          if (!admission.busy && !signal.aborted && this.#answer && (await this.#goThrough(this.#answer))) return;
          break;
        case "stale":
          break;
        case "ended":
          events.ended();
          return;
        case "failed":
          events.failed(admission.code, admission.message);
          return;
      }
    }
  }

  /** Tries the relays of one answer, each once and the first round without a pause. True when the stream is over. */
  async #goThrough(answer: WatchAnswer): Promise<boolean> {
    const { signal, events } = this.#options;
    const round = new RelayRound(answer.assignment.relays);
    let left = round.left;
    while (left[0]) {
      const stay = this.#stay(left[0], round);
      const outcome = await stay.run();
      if (signal.aborted) return true;
      if (outcome.kind === "ended") events.ended();
      if (outcome.kind === "failed") events.failed(outcome.code, outcome.message);
      if (outcome.kind === "ended" || outcome.kind === "failed") return true;
      // A relay that sends everybody away at once must not make its viewers ask in a tight loop.
      const healthy = stay.answeredAt !== null && performance.now() - stay.answeredAt > HEALTHY_MS;
      if (healthy) {
        this.#failures = 0;
        round.served(stay.relay.name);
        this.#failed = null;
      }
      if (outcome.kind === "next" && !outcome.busy) this.#failed ??= stay.relay.name;
      left = outcome.kind === "ask" ? [] : round.left;
      const asksAtOnce = healthy && outcome.kind === "ask" && outcome.now;
      const goesOnAtOnce = this.#failures === 0 && outcome.kind === "next" && !outcome.busy && left.length > 0;
      if (asksAtOnce || goesOnAtOnce) events.lost(1, false);
      else await this.#pause(waitAfter(outcome), waitAfter(outcome) > 0);
      if (signal.aborted) return true;
    }
    return false;
  }

  #stay(relay: RelayAddress, round: RelayRound): Stay {
    const { openTransport, events, signal } = this.#options;
    const renewed = (answer: WatchAnswer) => {
      this.#answer = answer;
      round.renewed(answer.assignment.relays);
      events.answered(answer);
    };
    return new Stay({ relay, round, admissions: this.#admissions, openTransport, events, signal, renewed });
  }

  async #pause(waitMs: number, busy: boolean): Promise<void> {
    const { signal, events } = this.#options;
    const pause = Math.max(waitMs, pauseBefore(this.#failures, this.#random()));
    this.#failures += 1;
    events.lost(this.#failures, busy);
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        globalThis.removeEventListener?.("online", online);
        resolve();
      };
      // The network is back: no reason to sit out a pause that was meant for its absence.
      const online = () => busy || done();
      const timer = setTimeout(done, pause);
      signal.addEventListener("abort", done, { once: true });
      globalThis.addEventListener?.("online", online);
      if (signal.aborted) done();
    });
  }
}

function waitAfter(outcome: Outcome): number {
  return outcome.kind === "next" && outcome.busy ? BUSY_MS : 0;
}
