// Keeps a viewer connected: asks the directory, goes through the relays it names, and starts over for as long as the stream
// lives. Knows nothing of pictures.

import { ApiFailure } from "../protocol/api_failure";
import { decodeMediaMessage, type MediaHeader } from "../protocol/media_message";
import { type ErrorCode, PROTOCOL_VERSION, parseToViewer, type ToViewer, type WatchAnswer } from "../protocol/messages";
import { pauseBefore } from "./backoff";
import type { FailureCode } from "./state";
import type { OpenTransport, Transport } from "./transport/transport";

/** How long a relay may take to accept and to answer the hello: a slow mobile handshake. */
export const OPEN_TIME_MS_MAX = 6000;
/** Relays speak every 2 s at least; two lost words and some delay mean that the connection is dead. */
export const SILENCE_MS_MAX = 6000;
/** How long the directory may take to answer. */
export const API_TIME_MS_MAX = 10_000;
/** How often silence is looked for. */
export const WATCHDOG_MS = 1000;
/** A relay that served for this long was healthy: the next attempt comes at once. */
export const HEALTHY_MS = 3000;

export interface WatchApi {
  /** Rejects with `ApiFailure`. */
  watch(streamId: string): Promise<WatchAnswer>;
}

export interface ConnectionEvents {
  answered(answer: WatchAnswer): void;
  watching(message: Extract<ToViewer, { type: "watching" }>): void;
  media(header: MediaHeader, payload: Uint8Array): void;
  skipped(track: number, chunks: number): void;
  viewers(count: number): void;
  broadcaster(present: boolean): void;
  /** The connection is gone; `attempt` counts from 1 the attempts since. */
  lost(attempt: number): void;
  ended(): void;
  failed(code: FailureCode, message: string): void;
}

/** How one connection to one relay was over. */
type Outcome =
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string }
  /** The directory must be asked again; `now` without a pause. */
  | { kind: "ask"; now: boolean }
  | { kind: "next" };

/** Errors that no other relay and no new ticket can mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["unsupported_protocol", "invalid_request"]);
/** Errors after which the directory knows better than the list. */
const ASK_AGAIN: ReadonlySet<ErrorCode> = new Set([
  "ticket_invalid",
  "ticket_expired",
  "stream_not_found",
  "unauthorized",
]);
const API_FINAL: ReadonlySet<string> = new Set(["invalid_request", "not_found", "method_not_allowed"]);

export class Connection {
  /** Whether the directory has ever named the stream: a stream that is then unknown has ended. */
  #known = false;
  #failures = 0;
  /** When the relay of the current connection accepted the ticket. */
  #answeredAt: number | null = null;

  constructor(
    private readonly streamId: string,
    private readonly api: WatchApi,
    private readonly openTransport: OpenTransport,
    private readonly events: ConnectionEvents,
    private readonly signal: AbortSignal,
    private readonly random: () => number = Math.random,
  ) {}

  /** Runs until the stream has ended, failed for good, or the signal aborts. Never rejects. */
  async run(): Promise<void> {
    while (!this.signal.aborted) {
      const answer = await this.#ask();
      if (answer === "over" || this.signal.aborted) return;
      if (answer === "again") {
        await this.#pause();
        continue;
      }
      if (await this.#goThrough(answer)) return;
    }
  }

  async #ask(): Promise<WatchAnswer | "again" | "over"> {
    try {
      const answer = await within(API_TIME_MS_MAX, this.api.watch(this.streamId));
      if (this.signal.aborted) return "over";
      this.#known = true;
      this.events.answered(answer);
      return answer.assignment.relays.length > 0 ? answer : "again";
    } catch (error) {
      if (this.signal.aborted) return "over";
      const code = error instanceof ApiFailure ? error.code : "unreachable";
      const message = error instanceof Error ? error.message : String(error);
      if (code === "stream_not_found" && this.#known) {
        this.events.ended();
        return "over";
      }
      if (code === "stream_not_found" || API_FINAL.has(code)) {
        this.events.failed(code, message);
        return "over";
      }
      return "again";
    }
  }

  /** Tries the relays of one answer in order. True when the stream is over. */
  async #goThrough(answer: WatchAnswer): Promise<boolean> {
    const { relays, ticket } = answer.assignment;
    for (const relay of relays) {
      this.#answeredAt = null;
      const outcome = await this.#watchAt(relay.url, ticket);
      if (this.signal.aborted) return true;
      if (outcome.kind === "ended") this.events.ended();
      if (outcome.kind === "failed") this.events.failed(outcome.code, outcome.message);
      if (outcome.kind === "ended" || outcome.kind === "failed") return true;
      const healthy = this.#answeredAt !== null && performance.now() - this.#answeredAt > HEALTHY_MS;
      if (healthy) this.#failures = 0;
      // A relay that sends everybody away at once must not make its viewers ask in a tight loop.
      if (outcome.kind === "ask" && outcome.now && healthy) {
        this.events.lost(1);
        return false;
      }
      await this.#pause();
      if (outcome.kind === "ask") return false;
    }
    return false;
  }

  #watchAt(url: string, ticket: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const life = new AbortController();
      const over = (outcome: Outcome) => {
        if (life.signal.aborted) return;
        life.abort();
        clearInterval(watchdog);
        this.signal.removeEventListener("abort", stopped);
        resolve(outcome);
      };
      const stopped = () => over({ kind: "next" });
      if (this.signal.aborted) return resolve({ kind: "next" });
      this.signal.addEventListener("abort", stopped, { once: true });

      let transport: Transport;
      let heard = performance.now();
      let looked = heard;
      const watchdog = setInterval(() => {
        const now = performance.now();
        // A page that slept has words waiting that it has not read: the silence was its own.
        if (now - looked > 2 * WATCHDOG_MS) heard = now;
        looked = now;
        if (now - heard > (this.#answeredAt !== null ? SILENCE_MS_MAX : OPEN_TIME_MS_MAX)) over({ kind: "next" });
      }, WATCHDOG_MS);
      try {
        transport = this.openTransport(url, life.signal);
      } catch {
        return over({ kind: "next" });
      }
      transport.onopen = () => {
        transport.send(JSON.stringify({ type: "watch_stream", protocol: PROTOCOL_VERSION, ticket }));
      };
      transport.onclose = () => over({ kind: "next" });
      transport.onmessage = (data) => {
        if (life.signal.aborted) return;
        heard = performance.now();
        if (typeof data !== "string") {
          const decoded = decodeMediaMessage(data);
          if (decoded.ok) this.events.media(decoded.header, decoded.payload);
          return;
        }
        const parsed = parseToViewer(data);
        if (parsed.kind !== "message") return;
        if (parsed.message.type === "watching") this.#answeredAt ??= heard;
        const outcome = this.#read(parsed.message);
        if (outcome) over(outcome);
      };
    });
  }

  /** Hands a message on; an outcome when it ends the connection. */
  #read(message: ToViewer): Outcome | null {
    switch (message.type) {
      case "watching":
        this.events.watching(message);
        return null;
      case "skipped":
        this.events.skipped(message.track, message.chunks);
        return null;
      case "viewers":
        this.events.viewers(message.count);
        return null;
      case "broadcaster":
        this.events.broadcaster(message.present);
        return null;
      case "move":
        return { kind: "ask", now: true };
      case "stream_ended":
        return { kind: "ended" };
      case "error":
        if (FINAL.has(message.code)) return { kind: "failed", code: message.code, message: message.message };
        return ASK_AGAIN.has(message.code) ? { kind: "ask", now: false } : { kind: "next" };
    }
  }

  async #pause(): Promise<void> {
    const pause = pauseBefore(this.#failures, this.random());
    this.#failures += 1;
    this.events.lost(this.#failures);
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.signal.removeEventListener("abort", done);
        globalThis.removeEventListener?.("online", done);
        resolve();
      };
      const timer = setTimeout(done, pause);
      this.signal.addEventListener("abort", done, { once: true });
      // The network is back: no reason to sit out a pause that was meant for its absence.
      globalThis.addEventListener?.("online", done, { once: true });
      if (this.signal.aborted) done();
    });
  }
}

/** The promise, or a rejection as `unreachable` when it takes too long. */
function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ApiFailure("unreachable", "The server did not answer in time.")), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
