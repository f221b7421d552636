// One connection from this page to one relay: says hello, sends what the connection can bear, and knows how long the relay has been
// silent. Which lines there are is decided in uplink.
import type { AudienceMember } from "../protocol/generated/AudienceMember";
import {
  type ClientHello,
  type ErrorCode,
  type FromBroadcaster,
  PROTOCOL_VERSION,
  parseToBroadcaster,
  type RelayAddress,
  type ToBroadcaster,
  type TrackInfo,
} from "../protocol/messages";
import { CLIENT_PATIENCE_MS, Hearing } from "../protocol/quiet";
import type { MediaOut, OpenTransport, Transport, TransportKind } from "../transport/transport";
import { InFlight } from "./in_flight";
import { type Offer, overtakes, SendGate, urgencyOf } from "./send_gate";

/** How long a relay may take to accept a connection and answer the hello. */
const REGISTER_MS_MAX = 6000;
/** After this long without an answer another relay is tried beside it. */
const REGISTER_PATIENCE_MS = 1500;
/** A relay that has not shown that it speaks four times a second is dead after this long: three lost signs of life. */
const SILENT_MS_MAX = 8000;
/** Most bytes that wait in the page, whatever their age: as much as a relay takes in one message. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;

export interface LineOptions {
  relay: RelayAddress;
  ticket: string;
  openTransport: OpenTransport;
  /** The tracks as they are now. */
  tracks: () => TrackInfo[];
  /** Milliseconds on a clock that never goes back. */
  now: () => number;
  onMessage: (line: Line, message: ToBroadcaster) => void;
  /** Comes once, never within the constructor; nothing comes after it, nor after `leave`. */
  onClosed: (line: Line) => void;
}

export class Line {
  registered = false;
  /** Chunks have arrived over this connection. */
  worked = false;
  viewers = 0;
  audience: AudienceMember[] = [];
  /** Why the relay ended it, if it said so. */
  code: ErrorCode | undefined;
  /** Bytes that the relay has confirmed. */
  bytes = 0;
  readonly gate = new SendGate();
  readonly #options: LineOptions;
  readonly #inFlight = new InFlight();
  readonly #hearing: Hearing;
  readonly #life = new AbortController();
  #transport: Transport | undefined;
  /** The ticket that the relay knows. */
  #ticket: string;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#ticket = options.ticket;
    this.#hearing = new Hearing(options.now());
    try {
      this.#transport = options.openTransport(options.relay, this.#life.signal);
    } catch {
      queueMicrotask(() => this.#closed());
      return;
    }
    this.#transport.onopen = () => {
      const { ticket } = options;
      const hello: ClientHello = {
        type: "register_new_stream",
        protocol: PROTOCOL_VERSION,
        ticket,
        tracks: options.tracks(),
      };
      this.#transport?.send(JSON.stringify(hello));
      const media = this.#transport?.mediaOut;
      if (media) media.onlost = (track) => this.#inFlight.forget(track);
    };
    this.#transport.onmessage = (data) => this.#take(data);
    this.#transport.onclose = () => this.#closed();
  }

  get relay(): RelayAddress {
    return this.#options.relay;
  }

  /** What it travels by; null before it is open. */
  get transportKind(): TransportKind | null {
    return this.#transport?.kind ?? null;
  }

  /** Sends one chunk, behind its init segment where the relay has not got that yet; or leaves it out. */
  send(offer: Offer, message: Uint8Array<ArrayBuffer>, init: Uint8Array<ArrayBuffer>): void {
    const media = this.#transport?.mediaOut;
    if (!this.registered || !media) return;
    if (overtakes(offer, this.#delayMs())) this.#giveUp(media, offer.track);
    if (!this.gate.admit(offer, this.#delayMs())) {
      // What comes before the part that is left out is of less use than a key frame that need not wait behind it.
      if (this.gate.behind && !offer.sound) this.#giveUp(media, offer.track);
      return;
    }
    const { track, key } = offer;
    if (media.send({ track, key, urgency: urgencyOf(offer) }, message, init)) {
      this.#inFlight.sent(this.#options.now(), track);
    } else this.gate.begin(track);
  }

  /** The init segment of a track has changed. */
  newInit(track: number): void {
    this.gate.begin(track);
  }

  say(message: FromBroadcaster): void {
    if (this.registered) this.#transport?.send(JSON.stringify(message));
  }

  /** Tells the relay a newer ticket, if it does not know it. */
  renew(ticket: string): void {
    if (!this.registered || ticket === this.#ticket) return;
    this.#ticket = ticket;
    this.say({ type: "renew_ticket", ticket });
  }

  /** True once when a connection that was too slow has caught up. */
  caughtUp(): boolean {
    return this.registered && this.gate.caughtUp(this.#delayMs());
  }

  /** How long the oldest chunk that is not confirmed has been on its way, in milliseconds; null for none. */
  get ageMs(): number | null {
    return this.#inFlight.ageMs(this.#options.now());
  }

  /** How the relay's silence is to be taken; several times a second. */
  look(): "fine" | "lost_patience" | "dead" {
    const silentMs = this.#hearing.look(this.#options.now());
    if (!this.registered) {
      if (silentMs >= REGISTER_MS_MAX) return "dead";
      return silentMs >= REGISTER_PATIENCE_MS ? "lost_patience" : "fine";
    }
    if (silentMs > SILENT_MS_MAX) return "dead";
    return this.#hearing.hasPace && silentMs >= CLIENT_PATIENCE_MS ? "lost_patience" : "fine";
  }

  /** Closes it without a word to anybody here. */
  leave(): void {
    this.registered = false;
    this.#life.abort();
  }

  #closed(): void {
    if (this.#life.signal.aborted) return;
    this.leave();
    this.#options.onClosed(this);
  }

  /** Gives up what is on its way of a track, where the connection can. */
  #giveUp(media: MediaOut, track: number): void {
    if (!media.givesUp) return;
    media.giveUp(track);
    this.#inFlight.forget(track);
    // A relay leaves out late sound without a word. Waiting for it would never end.
    if (this.gate.behind) this.#inFlight.forget();
  }

  #take(data: unknown): void {
    const parsed = typeof data === "string" ? parseToBroadcaster(data) : undefined;
    if (parsed?.kind !== "message" || this.#life.signal.aborted) return;
    const { message } = parsed;
    this.#hearing.heard(this.#options.now());
    if (message.type === "stream_registered") this.registered = true;
    if (message.type === "viewers") this.viewers = message.count;
    if (message.type === "audience") this.audience = message.viewers;
    if (message.type === "error") this.code = message.code;
    if (message.type === "received") {
      this.#inFlight.confirmed(message.chunks);
      this.worked ||= message.chunks > 0;
    }
    this.#options.onMessage(this, message);
    if (message.type === "received") this.bytes = Math.max(this.bytes, message.bytes);
  }

  /** How far the connection is behind, in milliseconds. */
  #delayMs(): number {
    if ((this.#transport?.mediaOut?.unsentBytes ?? 0) > UNSENT_BYTES_MAX) return Number.POSITIVE_INFINITY;
    return this.#inFlight.delayMs(this.#options.now());
  }
}
