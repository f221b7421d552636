// One connection to one relay: says hello, reads what comes, and tells how long it has been silent. What follows from that is
// decided in stay.

import { decodeMediaMessage, type MediaMessage } from "../protocol/media_message";
import {
  type FromViewer,
  PROTOCOL_VERSION,
  parseToViewer,
  type RelayAddress,
  type ToViewer,
} from "../protocol/messages";
import { CLIENT_PATIENCE_MS, Hearing } from "../protocol/quiet";
import type { OpenTransport, Transport, TransportKind } from "../transport/transport";

/** How long a relay may take to accept and to answer the hello: a slow mobile handshake. */
export const OPEN_TIME_MS_MAX = 6000;
/** After this long without an answer another relay is tried beside it. */
export const OPEN_PATIENCE_MS = 1500;
/** A relay that speaks every 2 s at least is dead after two lost words and some delay. */
export const SILENCE_MS_MAX = 6000;

export interface VisitEvents {
  /** The relay can be spoken to; it has been said hello. */
  opened(visit: Visit): void;
  message(visit: Visit, message: ToViewer): void;
  media(visit: Visit, message: MediaMessage): void;
  /** Comes once, never within the constructor; nothing comes after it, nor after `leave`. */
  closed(visit: Visit): void;
}

export type Patience = "fine" | "lost_patience" | "dead";

export class Visit {
  /** When the relay accepted the ticket; null before that. */
  answeredAt: number | null = null;
  /** The picture that was asked for since the relay last said what it sends. */
  asked: number | null = null;
  readonly #hearing = new Hearing(performance.now());
  readonly #life = new AbortController();
  #transport: Transport | undefined;

  constructor(
    readonly relay: RelayAddress,
    ticket: string,
    openTransport: OpenTransport,
    private readonly events: VisitEvents,
  ) {
    try {
      this.#transport = openTransport(relay, this.#life.signal);
    } catch {
      queueMicrotask(() => this.#closed());
      return;
    }
    this.#transport.onopen = () => {
      const hello = { type: "watch_stream", protocol: PROTOCOL_VERSION, ticket };
      this.#transport?.send(JSON.stringify(hello));
      this.events.opened(this);
    };
    this.#transport.onclose = () => this.#closed();
    this.#transport.onmessage = (data) => this.#take(data);
  }

  send(message: FromViewer): void {
    this.#transport?.send(JSON.stringify(message));
  }

  leave(): void {
    this.#life.abort();
  }

  /** What it travels by; null before it is open. */
  get transportKind(): TransportKind | null {
    return this.#transport?.kind ?? null;
  }

  /** How long it has been silent. */
  silentMs(nowMs: number): number {
    return this.#hearing.look(nowMs);
  }

  /** Looks how long it has been silent; several times a second. */
  look(nowMs: number): Patience {
    const silentMs = this.#hearing.look(nowMs);
    if (silentMs > (this.answeredAt === null ? OPEN_TIME_MS_MAX : SILENCE_MS_MAX)) return "dead";
    const spoke = this.#hearing.hasPace ? CLIENT_PATIENCE_MS : SILENCE_MS_MAX;
    return silentMs >= (this.answeredAt === null ? OPEN_PATIENCE_MS : spoke) ? "lost_patience" : "fine";
  }

  #closed(): void {
    if (this.#life.signal.aborted) return;
    this.#life.abort();
    this.events.closed(this);
  }

  #take(data: string | ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    if (this.#life.signal.aborted) return;
    this.#hearing.heard(performance.now());
    if (typeof data !== "string") {
      const decoded = decodeMediaMessage(data);
      if (decoded.ok) this.events.media(this, decoded);
      return;
    }
    const parsed = parseToViewer(data);
    if (parsed.kind !== "message") return;
    // A relay that waits for the broadcaster says so before it can tell what there is to watch.
    if (parsed.message.type === "watching" || parsed.message.type === "broadcaster") {
      this.answeredAt ??= performance.now();
    }
    this.events.message(this, parsed.message);
  }
}
