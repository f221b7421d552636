// Keeps a viewer connected: asks the directory, goes through the relays it names, and starts over for as long as the stream
// lives. Knows nothing of pictures.

import type { MediaMessage } from "../protocol/media_message";
import type { RelayAddress, TrackInfo, WatchAnswer } from "../protocol/messages";
import type { OpenTransport, TransportKind } from "../transport/transport";
import { Admissions, BUSY_MS, type Passwords, type WatchApi } from "./admission";
import { pauseBefore } from "./backoff";
import { machineNetwork, type Network, type NetworkEvent } from "./network";
import type { Outcome } from "./outcome";
import { RelayRound } from "./relay_round";
import type { FailureCode } from "./state";
import { Stay } from "./stay";
import { type Watching, Wish } from "./wish";

/** A relay that served for this long was healthy: the next attempt comes at once. */
export const HEALTHY_MS = 3000;

export interface ConnectionEvents {
  answered(answer: WatchAnswer): void;
  /** `fresh` unless the same connection goes on with another choice of the same tracks. */
  watching(message: Watching, fresh: boolean): void;
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
  /** The number of the picture that is wanted of these tracks; null where there is none, or no choice. */
  wanted?: (tracks: TrackInfo[]) => number | null;
  network?: Network;
  random?: () => number;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #random: () => number;
  readonly #admissions: Admissions;
  readonly #wish: Wish;
  #failures = 0;
  /** The newest answer of the directory. */
  #answer: WatchAnswer | null = null;
  /** The relay whose failure the directory has not been told of. */
  #failed: string | null = null;
  #present: Stay | null = null;
  /** Ends the pause before the next attempt. */
  #goOnNow: (() => void) | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    const { streamId, api, passwords, signal, wanted = () => null } = options;
    this.#wish = new Wish(wanted);
    this.#admissions = new Admissions(streamId, api, passwords, signal, this.#random);
  }

  /** Runs until the stream has ended, failed for good, or the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { signal, events, network = machineNetwork() } = this.#options;
    network.watch((event) => this.#networkChanged(event), signal);
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
        case "unknown":
          if (await this.#tryAgain(0, false)) return;
          break;
        case "again":
          if (await this.#tryAgain(admission.waitMs, admission.busy)) return;
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

  /** What the media travel by; null while there is no connection. */
  get transportKind(): TransportKind | null {
    return this.#present?.transportKind ?? null;
  }

  /** Another picture may be wanted than before. */
  select(): void {
    this.#present?.select();
  }

  /** What is on its way is not worth waiting for. */
  beginAnew(): void {
    this.#present?.beginAnew();
  }

  /** While the directory is away, or has forgotten the stream, the relays that it has named are still good, and so is the ticket. */
  async #tryAgain(waitMs: number, busy: boolean): Promise<boolean> {
    await this.#pause(waitMs, busy);
    return !busy && !this.#options.signal.aborted && this.#answer !== null && (await this.#goThrough(this.#answer));
  }

  /** Tries the relays of one answer, each once and the first round without a pause. True when the stream is over. */
  async #goThrough(answer: WatchAnswer): Promise<boolean> {
    const { signal, events } = this.#options;
    const round = new RelayRound(answer.assignment.relays);
    let left = round.left;
    while (left[0]) {
      const stay = this.#stay(left[0], round);
      this.#present = stay;
      const outcome = await stay.run();
      this.#present = null;
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
    return new Stay({
      relay,
      round,
      admissions: this.#admissions,
      openTransport,
      events,
      signal,
      wish: this.#wish,
      renewed,
    });
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
        this.#goOnNow = null;
        resolve();
      };
      const timer = setTimeout(done, pause);
      signal.addEventListener("abort", done, { once: true });
      // A pause that a server asked for is sat out.
      this.#goOnNow = busy ? null : done;
      if (signal.aborted) done();
    });
  }

  /** The network is back, or another one: no reason to sit out what was meant for its absence. */
  #networkChanged(event: NetworkEvent): void {
    if (event.kind === "offline") return;
    if (event.kind === "woke") this.#admissions.renewal.slept(event.missedMs);
    this.#failures = 0;
    this.#admissions.networkChanged();
    this.#present?.networkChanged();
    this.#goOnNow?.();
  }
}

function waitAfter(outcome: Outcome): number {
  return outcome.kind === "next" && outcome.busy ? BUSY_MS : 0;
}
