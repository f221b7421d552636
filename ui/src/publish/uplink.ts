// The connection from this page to a relay: says hello, sends media messages, follows the relay's wishes, and comes back when it
// breaks. What to do next is decided in relay_choice, what is sent in send_gate.
import { ApiFailure } from "../protocol/api_failure";
import type { Assignment } from "../protocol/generated/Assignment";
import type { AudienceMember } from "../protocol/generated/AudienceMember";
import {
  type ClientHello,
  type ErrorCode,
  type FromBroadcaster,
  PROTOCOL_VERSION,
  parseToBroadcaster,
  type ToBroadcaster,
  type TrackInfo,
} from "../protocol/messages";
import { ticketFacts } from "../protocol/ticket";
import { InFlight } from "./in_flight";
import { LiveWatch } from "./live_state";
import { RelayChoice } from "./relay_choice";
import { type Offer, SendGate } from "./send_gate";

/** How long a relay may take to accept a connection and answer the hello. */
const REGISTER_MS_MAX = 6000;
/** Most bytes that wait in the page, whatever their age: as much as a relay takes in one message. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;
/** WebSocket's "normal closure" (RFC 6455 7.4.1). */
const CLOSE_NORMAL = 1000;

export interface UplinkOptions {
  assignment: Assignment;
  /** Asks the directory where to go on after `failed`. */
  reassign: (failed: string | null) => Promise<Assignment>;
  openSocket: (url: string) => WebSocket;
  /** The tracks as they are now; said in every hello. */
  tracks: () => TrackInfo[];
  /** Milliseconds on a clock that never goes back. */
  now: () => number;
  /** The next picture should be a key frame. */
  onKeyFrameWanted: () => void;
  /** Something that the page shows has changed. */
  onChange: () => void;
  /** It is over for good, and why in words. */
  onEnd: (reason: string) => void;
}

export class Uplink {
  readonly live = new LiveWatch();
  viewers = 0;
  /** Who watches at the relay, newest first. */
  audience: AudienceMember[] = [];
  relay: string | null = null;
  /** Bytes that relays have confirmed, over all connections. */
  bytesReceived = 0;
  #bytesOfConnection = 0;
  #options: UplinkOptions;
  #choice: RelayChoice;
  #gate = new SendGate();
  #inFlight = new InFlight();
  #inits = new Map<number, Uint8Array<ArrayBuffer>>();
  #initsSent = new Set<number>();
  #socket: WebSocket | undefined;
  #registered = false;
  /** Chunks have arrived over this connection. */
  #worked = false;
  /** The ticket that the relay knows. */
  #ticketSaid = "";
  /** Ends the connection, to go on elsewhere. */
  #leave: () => void = () => {};
  #ended = new AbortController();

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#choice = new RelayChoice(options.assignment);
    void this.#run();
  }

  /** Chunks of a track that the connection was too slow for. */
  dropped(track: number): number {
    return this.#gate.dropped(track);
  }

  /** How often it was too slow. */
  get timesBehind(): number {
    return this.#gate.timesBehind;
  }

  get behind(): boolean {
    return this.#gate.behind;
  }

  /** Keeps the init segment of a track for every connection, and sends it when it is new. */
  sendInit(track: number, message: Uint8Array<ArrayBuffer>): void {
    this.#inits.set(track, message);
    this.#initsSent.delete(track);
  }

  /** Sends one chunk, or leaves it out. Before a relay has taken the stream nothing is kept: a key frame is asked for then. */
  sendChunk(offer: Offer, message: Uint8Array<ArrayBuffer>): void {
    const socket = this.#socket;
    if (!socket || !this.#registered || socket.readyState !== WebSocket.OPEN) return;
    const init = this.#inits.get(offer.track);
    if (!init || !this.#gate.admit(offer, this.#delayMs(socket))) return;
    if (!this.#initsSent.has(offer.track)) {
      this.#initsSent.add(offer.track);
      socket.send(init);
    }
    socket.send(message);
    this.#inFlight.sent(this.#options.now());
  }

  /** The directory says where the stream belongs: where it is, with a new ticket, or elsewhere. */
  ordered(assignment: Assignment): void {
    if (this.#ended.signal.aborted) return;
    const outcome = this.#choice.ordered(assignment);
    if (outcome === "moved") this.#leave();
    if (outcome === "renewed") this.#renew();
  }

  /** Time passes; several times a second. */
  tick(): void {
    const socket = this.#socket;
    if (!socket) return;
    if (this.#registered && this.#gate.caughtUp(this.#delayMs(socket))) this.#options.onKeyFrameWanted();
    const before = this.live.state;
    if (this.live.tick(this.#options.now())) socket.close();
    if (this.live.state !== before) this.#options.onChange();
  }

  /** Says that the stream is over and closes. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    if (this.#registered && this.#socket?.readyState === WebSocket.OPEN) {
      const message: FromBroadcaster = { type: "end_stream" };
      this.#socket.send(JSON.stringify(message));
    }
    this.live.ended();
    this.#ended.abort();
    this.#socket?.close(CLOSE_NORMAL);
  }

  /** How far the connection is behind, in milliseconds. */
  #delayMs(socket: WebSocket): number {
    if (socket.bufferedAmount > UNSENT_BYTES_MAX) return Number.POSITIVE_INFINITY;
    return this.#inFlight.delayMs(this.#options.now());
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    this.live.connecting();
    while (!signal.aborted) {
      let next = this.#choice.next();
      if (next.do === "end") {
        this.end();
        this.#options.onEnd(next.reason);
        return;
      }
      await wait(this.#choice.waitMs(Math.random()), signal);
      if (signal.aborted) return;
      // The directory may have spoken meanwhile.
      next = this.#choice.next();
      if (next.do === "end") continue;
      if (next.do === "ask") await this.#ask(next.failed);
      else await this.#connect(next.relay.url, next.ticket);
      this.live.disconnected();
      this.#options.onChange();
    }
  }

  async #ask(failed: string | null): Promise<void> {
    try {
      this.#choice.assigned(await this.#options.reassign(failed));
    } catch (error) {
      this.#choice.refused(error instanceof ApiFailure ? error.code : "unreachable");
    }
  }

  /** One connection, until it is over. */
  #connect(url: string, ticket: string): Promise<void> {
    return new Promise((resolve) => {
      let code: ErrorCode | undefined;
      let moved = false;
      let over = false;
      let socket: WebSocket;
      const finish = () => {
        if (over) return;
        over = true;
        clearTimeout(late);
        socket?.close();
        const worked = this.#worked;
        this.#socket = undefined;
        this.#registered = false;
        this.#worked = false;
        this.relay = null;
        this.viewers = 0;
        this.audience = [];
        this.#leave = () => {};
        if (!moved) this.#choice.closed(code ? { worked, code } : { worked });
        resolve();
      };
      this.#leave = () => {
        moved = true;
        finish();
      };
      this.#ticketSaid = ticket;
      const late = setTimeout(() => {
        if (!this.#registered) finish();
      }, REGISTER_MS_MAX);
      try {
        socket = this.#options.openSocket(url);
      } catch {
        finish();
        return;
      }
      this.#socket = socket;
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        const tracks = this.#options.tracks();
        const hello: ClientHello = { type: "register_new_stream", protocol: PROTOCOL_VERSION, ticket, tracks };
        socket.send(JSON.stringify(hello));
      };
      socket.onmessage = ({ data }) => {
        const parsed = typeof data === "string" ? parseToBroadcaster(data) : undefined;
        if (parsed?.kind !== "message" || over) return;
        const { message } = parsed;
        if (message.type === "error") code = message.code;
        else if (message.type === "move") {
          this.#choice.assigned(this.#elsewhere(message));
          this.#leave();
        } else this.#obey(message);
        this.#options.onChange();
      };
      socket.onclose = finish;
      socket.onerror = finish;
      this.#ended.signal.addEventListener("abort", finish, { once: true });
    });
  }

  /** Where a relay that leaves sends this stream. */
  #elsewhere({ ticket, relays }: { ticket: string; relays: Assignment["relays"] }): Assignment {
    return { ticket, relays, epoch: ticketFacts(ticket).epoch ?? this.#choice.assignment.epoch };
  }

  /** Tells the relay the newest ticket, if it does not know it. */
  #renew(): void {
    const { ticket } = this.#choice.assignment;
    if (!this.#registered || ticket === this.#ticketSaid || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#ticketSaid = ticket;
    const message: FromBroadcaster = { type: "renew_ticket", ticket };
    this.#socket.send(JSON.stringify(message));
  }

  #obey(message: Exclude<ToBroadcaster, { type: "error" | "move" }>): void {
    const now = this.#options.now();
    this.live.heard(now);
    switch (message.type) {
      case "stream_registered":
        this.relay = message.relay;
        this.#registered = true;
        this.#gate.reconnected();
        this.#initsSent.clear();
        this.#bytesOfConnection = 0;
        this.#inFlight.reset();
        this.live.registered(now);
        this.#renew();
        this.#options.onKeyFrameWanted();
        break;
      case "received":
        this.live.received(message.chunks, now);
        this.#inFlight.confirmed(message.chunks);
        if (message.chunks > 0 && !this.#worked) {
          this.#worked = true;
          this.#choice.worked();
        }
        this.bytesReceived += Math.max(0, message.bytes - this.#bytesOfConnection);
        this.#bytesOfConnection = message.bytes;
        break;
      case "viewers":
        this.viewers = message.count;
        break;
      case "audience":
        this.audience = message.viewers;
        break;
      case "key_frame_wanted":
        this.#options.onKeyFrameWanted();
        break;
    }
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
