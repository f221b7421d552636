// One connection to one relay, from the hello to its end: hands on what comes, notices silence, and renews the ticket.

import { decodeMediaMessage } from "../protocol/media_message";
import {
  type ErrorCode,
  type FromViewer,
  PROTOCOL_VERSION,
  parseToViewer,
  type RelayAddress,
  type ToViewer,
  type WatchAnswer,
} from "../protocol/messages";
import type { Admissions } from "./admission";
import type { ConnectionEvents } from "./connection";
import { MediaSilence } from "./renewal";
import type { FailureCode } from "./state";
import type { OpenTransport, Transport } from "./transport/transport";

/** How long a relay may take to accept and to answer the hello: a slow mobile handshake. */
export const OPEN_TIME_MS_MAX = 6000;
/** Relays speak every 2 s at least; two lost words and some delay mean that the connection is dead. */
export const SILENCE_MS_MAX = 6000;
/** How often silence, and the ticket's age, is looked at. */
export const WATCHDOG_MS = 1000;

/** How a connection to a relay was over. */
export type Outcome =
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string }
  /** The directory must be asked again; `now` without a pause. */
  | { kind: "ask"; now: boolean }
  /** The directory has named other relays. */
  | { kind: "elsewhere"; answer: WatchAnswer }
  | { kind: "next"; busy: boolean };

const NEXT: Outcome = { kind: "next", busy: false };

/** Errors that no other relay and no new ticket can mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["unsupported_protocol", "invalid_request", "viewer_removed"]);
/** Errors after which the directory knows better than the list. */
const ASK_AGAIN: ReadonlySet<ErrorCode> = new Set([
  "ticket_invalid",
  "ticket_expired",
  "stream_not_found",
  "unauthorized",
  "relay_revoked",
]);

export interface VisitOptions {
  relay: RelayAddress;
  admissions: Admissions;
  openTransport: OpenTransport;
  events: ConnectionEvents;
  signal: AbortSignal;
  /** The directory has answered again, and still names this relay. */
  renewed: (answer: WatchAnswer) => void;
}

export class Visit {
  /** When the relay accepted the ticket; null before that. */
  answeredAt: number | null = null;
  readonly #life = new AbortController();
  readonly #silence = new MediaSilence(performance.now());
  #transport: Transport | undefined;
  #heard = performance.now();
  #looked = performance.now();
  #asking = false;
  #resolve: (outcome: Outcome) => void = () => {};

  constructor(private readonly options: VisitOptions) {}

  /** Resolves when the connection is over. */
  run(): Promise<Outcome> {
    const { relay, openTransport, signal, admissions } = this.options;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(NEXT);
      this.#resolve = resolve;
      const during = { signal: this.#life.signal, once: true };
      signal.addEventListener("abort", () => this.#over(NEXT), during);
      const watchdog = setInterval(() => this.#look(), WATCHDOG_MS);
      this.#life.signal.addEventListener("abort", () => clearInterval(watchdog));
      try {
        this.#transport = openTransport(relay.url, this.#life.signal);
      } catch {
        this.#over(NEXT);
        return;
      }
      this.#transport.onopen = () => {
        const hello = { type: "watch_stream", protocol: PROTOCOL_VERSION, ticket: admissions.ticket };
        this.#transport?.send(JSON.stringify(hello));
      };
      this.#transport.onclose = () => this.#over(NEXT);
      this.#transport.onmessage = (data) => this.#take(data);
    });
  }

  #over(outcome: Outcome): void {
    if (this.#life.signal.aborted) return;
    this.#life.abort();
    this.#resolve(outcome);
  }

  #take(data: string | ArrayBuffer): void {
    if (this.#life.signal.aborted) return;
    this.#heard = performance.now();
    if (typeof data !== "string") {
      const decoded = decodeMediaMessage(data);
      if (!decoded.ok) return;
      this.#silence.broken(this.#heard);
      this.options.events.media(decoded);
      return;
    }
    const parsed = parseToViewer(data);
    if (parsed.kind !== "message") return;
    if (parsed.message.type === "watching") this.#answered();
    const outcome = this.#read(parsed.message);
    if (outcome) this.#over(outcome);
  }

  #answered(): void {
    this.answeredAt ??= this.#heard;
    this.#silence.broken(this.#heard);
  }

  /** Hands a message on; an outcome when it ends the connection. */
  #read(message: ToViewer): Outcome | null {
    const { events } = this.options;
    switch (message.type) {
      case "watching":
        events.watching(message);
        return null;
      case "skipped":
        events.skipped(message.track, message.chunks);
        return null;
      case "viewers":
        events.viewers(message.count);
        return null;
      case "broadcaster":
        events.broadcaster(message.present);
        return null;
      case "move":
        return { kind: "ask", now: true };
      case "stream_ended":
        return { kind: "ended" };
      case "error":
        if (FINAL.has(message.code)) return { kind: "failed", code: message.code, message: message.message };
        if (ASK_AGAIN.has(message.code)) return { kind: "ask", now: false };
        return { kind: "next", busy: message.code === "too_many_requests" };
    }
  }

  #look(): void {
    const now = performance.now();
    // A page that slept has words waiting that it has not read: the silence was its own.
    if (now - this.#looked > 2 * WATCHDOG_MS) {
      this.#heard = now;
      this.#silence.broken(now);
    }
    this.#looked = now;
    if (now - this.#heard > (this.answeredAt !== null ? SILENCE_MS_MAX : OPEN_TIME_MS_MAX)) this.#over(NEXT);
    if (this.#life.signal.aborted || this.answeredAt === null || this.#asking) return;
    const silent = this.#silence.due(now);
    if (silent || this.options.admissions.renewal.due(now)) void this.#renew(silent);
  }

  /** Asks the directory while the connection lives: for a new ticket, or because no media comes (`silent`). */
  async #renew(silent: boolean): Promise<void> {
    this.#asking = true;
    const admission = await this.options.admissions.renew();
    this.#asking = false;
    if (this.#life.signal.aborted) return;
    if (admission.kind === "in") this.#goOn(admission.answer);
    else if (admission.kind === "stale") this.#over({ kind: "ask", now: true });
    else if (admission.kind === "failed" && admission.code === "viewer_removed") this.#over(admission);
    // While media comes the relay knows better than a directory that has lost the stream.
    else if (admission.kind === "ended" && silent) this.#over(admission);
  }

  #goOn(answer: WatchAnswer): void {
    const { relays, ticket } = answer.assignment;
    if (relays.length > 0 && !relays.some(({ name }) => name === this.options.relay.name)) {
      this.#over({ kind: "elsewhere", answer });
      return;
    }
    const message: FromViewer = { type: "renew_ticket", ticket };
    this.#transport?.send(JSON.stringify(message));
    this.options.renewed(answer);
  }
}
