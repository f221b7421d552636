// What this page sends, to one relay or for moments to two: comes back when a connection breaks, opens another relay beside a
// silent one, and arrives at a new one before it leaves the old. What to do next is decided in relay_choice.
import { ApiFailure } from "../protocol/api_failure";
import type { Assignment } from "../protocol/generated/Assignment";
import type { AudienceMember } from "../protocol/generated/AudienceMember";
import type { RelayAddress, ToBroadcaster, TrackInfo } from "../protocol/messages";
import type { OpenTransport, TransportKind } from "../transport/transport";
import { Line } from "./line";
import { LiveWatch } from "./live_state";
import { RelayChoice } from "./relay_choice";
import type { Offer } from "./send_gate";
import type { UplinkRate } from "./uplink_rate";

/** How long the old relay gets everything too, so that its viewers can follow without a gap. */
export const MOVE_OVERLAP_MS_MAX = 3000;
/** Relays confirm every 250 ms. Confirmations that come closer together were held up on their way, and are one. */
const LOOK_MS_MIN = 200;
/** Without a confirmation the line is looked at after this time. */
const LOOK_MS_MAX = 300;
/** A look that comes later than this was held up in the page: what waited for it is older than the line made it. */
const HELD_UP_MS = 450;

export interface UplinkOptions {
  assignment: Assignment;
  /** Asks the directory where to go on after `failed`. */
  reassign: (failed: string | null) => Promise<Assignment>;
  /** Brings the stream back to a directory that has forgotten it. */
  restore: (record: string) => Promise<Assignment>;
  openTransport: OpenTransport;
  /** The tracks as they are now; said in every hello. */
  tracks: () => TrackInfo[];
  /** Milliseconds on a clock that never goes back. */
  now: () => number;
  /** Judges how the line bears what is sent. */
  rate: Pick<UplinkRate, "connected" | "look">;
  /** The next picture should be a key frame. */
  onKeyFrameWanted: () => void;
  /** Something that the page shows has changed. */
  onChange: () => void;
  /** It is over for good, and why in words. */
  onEnd: (reason: string) => void;
}

export class Uplink {
  readonly live = new LiveWatch();
  /** Bytes that relays have confirmed, over all connections. */
  bytesReceived = 0;
  #options: UplinkOptions;
  #choice: RelayChoice;
  #inits = new Map<number, Uint8Array<ArrayBuffer>>();
  /** The connection that counts. */
  #line: Line | undefined;
  /** The one that is opened beside it while it is silent. */
  #racer: Line | undefined;
  /** Who may race after it. */
  #candidates: RelayAddress[] = [];
  /** This silence has had its race. */
  #raced = false;
  /** The old relay of a stream that moves; it gets everything until it is left. */
  #leaving: Line | undefined;
  #overlap: ReturnType<typeof setTimeout> | undefined;
  /** Ends the wait for the end of `#line`. */
  #goOn: () => void = () => {};
  /** Ends the wait before the next try. */
  #hurryOn: () => void = () => {};
  /** Since the line was looked at last. */
  #made = 0;
  #acked = 0;
  #lookedAtMs = 0;
  #left = { dropped: new Map<number, number>(), timesBehind: 0 };
  #ended = new AbortController();

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#choice = new RelayChoice(options.assignment);
    void this.#run();
  }

  get viewers(): number {
    return (this.#line?.viewers ?? 0) + (this.#leaving?.viewers ?? 0);
  }

  /** Who watches, newest first. */
  get audience(): AudienceMember[] {
    const members = [...(this.#line?.audience ?? []), ...(this.#leaving?.audience ?? [])];
    return members.filter(({ viewer }, at) => members.findIndex((other) => other.viewer === viewer) === at);
  }

  get relay(): string | null {
    if (this.#line?.registered) return this.#line.relay.name;
    return this.#leaving?.relay.name ?? null;
  }

  /** What the stream travels by to that relay. */
  get transportKind(): TransportKind | null {
    return (this.#line?.registered ? this.#line : this.#leaving)?.transportKind ?? null;
  }

  /** Chunks of a track that the connection was too slow for. */
  dropped(track: number): number {
    return (this.#left.dropped.get(track) ?? 0) + (this.#line?.gate.dropped(track) ?? 0);
  }

  /** How often it was too slow. */
  get timesBehind(): number {
    return this.#left.timesBehind + (this.#line?.gate.timesBehind ?? 0);
  }

  get behind(): boolean {
    return this.#line?.gate.behind ?? false;
  }

  /** Keeps the init segment of a track for every connection, and sends it when it is new. */
  sendInit(track: number, message: Uint8Array<ArrayBuffer>): void {
    this.#inits.set(track, message);
    for (const line of this.#lines) line.newInit(track);
  }

  /** Sends one chunk, or leaves it out. Before a relay has taken the stream nothing is kept: a key frame is asked for then. */
  sendChunk(offer: Offer, message: Uint8Array<ArrayBuffer>): void {
    this.#made += message.byteLength;
    const init = this.#inits.get(offer.track);
    if (init) for (const line of this.#lines) line.send(offer, message, init);
  }

  /** The directory says where the stream belongs: where it is, with a new ticket, or elsewhere. */
  ordered(assignment: Assignment): void {
    if (this.#ended.signal.aborted) return;
    const outcome = this.#choice.ordered(assignment);
    if (outcome === "moved") this.#moveOn();
    if (outcome === "renewed") this.#line?.renew(this.#choice.assignment.ticket);
  }

  /** The directory has forgotten the stream. Rejects with `ApiFailure` when it does not take it back. */
  async restore(): Promise<void> {
    const { record } = this.#choice;
    if (record === null) throw new ApiFailure("stream_not_found", "The directory does not know this stream.");
    this.ordered(await this.#options.restore(record));
  }

  /** The network may be back: what waits for its next try waits no longer. */
  hurry(): void {
    this.#hurryOn();
  }

  /** Time passes; several times a second. */
  tick(): void {
    const now = this.#options.now();
    if (now - this.#lookedAtMs >= LOOK_MS_MAX) this.#look(now);
    if (this.#line?.caughtUp()) this.#options.onKeyFrameWanted();
    const before = this.live.state;
    this.live.tick(now);
    if (this.live.state !== before) this.#options.onChange();
    const racer = this.#racer?.look() ?? "fine";
    if (racer === "dead" || (racer === "lost_patience" && this.#candidates.length > 0)) this.#raceNext();
    const look = this.#line?.look();
    if (look === "dead") this.#lost();
    else if (look === "lost_patience" && !this.#racer && !this.#raced) this.#race();
    if (this.#leaving?.look() === "dead") this.#leaveOld();
  }

  /** Says that the stream is over and closes. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#line?.say({ type: "end_stream" });
    if (!this.#line?.registered) this.#leaving?.say({ type: "end_stream" });
    this.live.ended();
    this.#ended.abort();
    for (const line of this.#lines) line.leave();
    clearTimeout(this.#overlap);
    this.#goOn();
  }

  get #lines(): Line[] {
    return [this.#line, this.#racer, this.#leaving].filter((line) => line !== undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    this.live.connecting();
    while (!signal.aborted) {
      if (!this.#line) {
        let next = this.#choice.next();
        if (next.do === "end") {
          this.end();
          this.#options.onEnd(next.reason);
          return;
        }
        await this.#pause(this.#choice.waitMs(Math.random()));
        if (signal.aborted) return;
        // The directory may have spoken meanwhile.
        next = this.#choice.next();
        if (next.do === "end") continue;
        if (next.do === "ask") {
          await this.#ask(next.failed);
          continue;
        }
        this.#raced = false;
        this.#line = this.#open(next.relay, next.ticket);
      }
      await new Promise<void>((resolve) => {
        this.#goOn = resolve;
      });
      if (!this.#line && !this.#leaving) this.live.disconnected(this.#options.now());
      this.#options.onChange();
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ended;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      this.#hurryOn = done;
    });
  }

  async #ask(failed: string | null): Promise<void> {
    try {
      this.#choice.assigned(await this.#options.reassign(failed));
    } catch (error) {
      const code = codeOf(error);
      if (code !== "stream_not_found" || this.#choice.record === null) {
        this.#choice.refused(code);
        return;
      }
      try {
        this.#choice.assigned(await this.#options.restore(this.#choice.record));
      } catch (error) {
        this.#choice.refused(codeOf(error));
      }
    }
  }

  #open(relay: RelayAddress, ticket: string): Line {
    const { openTransport, tracks, now } = this.#options;
    const onMessage = (line: Line, message: ToBroadcaster) => {
      this.#obey(line, message);
      this.#options.onChange();
    };
    const onClosed = (line: Line) => {
      if (line === this.#line) this.#lost();
      else if (line === this.#racer) this.#raceNext();
      else if (line === this.#leaving) this.#leaveOld();
    };
    return new Line({ relay, ticket, openTransport, tracks, now, onMessage, onClosed });
  }

  /** The line that counts is over: the one that races takes its place, or another is looked for. */
  #lost(): void {
    const line = this.#line;
    if (!line) return;
    this.#retire(line);
    line.leave();
    const { worked, code } = line;
    this.#line = undefined;
    if (this.#racer && code === undefined) this.#takeRacer();
    else {
      this.#dropRacer();
      this.#choice.closed(code ? { worked, code } : { worked });
    }
    this.#goOn();
  }

  #race(): void {
    this.#raced = true;
    const line = this.#line;
    if (!line) return;
    // Where there is no other relay a fresh connection to the same one may do, as only the old one may be dead.
    const { others } = this.#choice;
    this.#candidates = others.length > 0 || !line.registered ? others : [line.relay];
    this.#raceNext();
  }

  #raceNext(): void {
    this.#racer?.leave();
    const relay = this.#candidates.shift();
    this.#racer = relay && this.#open(relay, this.#choice.assignment.ticket);
  }

  #dropRacer(): void {
    this.#racer?.leave();
    this.#racer = undefined;
  }

  #takeRacer(): void {
    const racer = this.#racer;
    if (!racer) return;
    if (this.#line) {
      this.#retire(this.#line);
      this.#line.leave();
    }
    this.#line = racer;
    this.#racer = undefined;
    this.#raced = false;
    this.#choice.isAt(racer.relay.name);
    if (racer.registered) this.#arrived(this.#options.now());
    else if (!this.#leaving) this.live.disconnected(this.#options.now());
    this.#goOn();
  }

  /** The stream belongs elsewhere: the present relay gets everything until the new one has it, and a while longer. */
  #moveOn(): void {
    this.#dropRacer();
    const line = this.#line;
    if (!line) return;
    this.#line = undefined;
    this.#retire(line);
    // A relay that is left before it has left another one is of no use to anybody who stays.
    if (line.registered) {
      this.#leaving?.leave();
      clearTimeout(this.#overlap);
      this.#overlap = undefined;
      this.#leaving = line;
    } else line.leave();
    this.#goOn();
  }

  #leaveOld(): void {
    if (!this.#leaving) return;
    clearTimeout(this.#overlap);
    this.#overlap = undefined;
    this.#leaving.leave();
    this.#leaving = undefined;
    if (!this.#line?.registered && !this.#ended.signal.aborted) this.live.disconnected(this.#options.now());
  }

  #retire({ gate }: Line): void {
    for (const track of this.#inits.keys()) {
      this.#left.dropped.set(track, (this.#left.dropped.get(track) ?? 0) + gate.dropped(track));
    }
    this.#left.timesBehind += gate.timesBehind;
  }

  /** The line that counts has taken the stream. */
  #arrived(now: number): void {
    this.live.registered(now);
    this.#options.rate.connected(now);
    this.#made = 0;
    this.#acked = 0;
    this.#lookedAtMs = now;
  }

  #look(nowMs: number): void {
    if (!this.#line?.registered) return;
    const heldUp = nowMs - this.#lookedAtMs > HELD_UP_MS;
    const ageMs = heldUp ? null : this.#line.ageMs;
    this.#options.rate.look({ nowMs, made: this.#made, acked: this.#acked, ageMs });
    this.#made = 0;
    this.#acked = 0;
    this.#lookedAtMs = nowMs;
  }

  #obey(line: Line, message: ToBroadcaster): void {
    const now = this.#options.now();
    if (line === this.#racer && message.type === "received" && message.chunks > 0) this.#takeRacer();
    const counts = line === this.#line || (line === this.#leaving && !this.#line?.registered);
    switch (message.type) {
      case "stream_registered":
        this.#options.onKeyFrameWanted();
        if (line !== this.#line) break;
        this.#arrived(now);
        line.renew(this.#choice.assignment.ticket);
        this.#sayMoving();
        break;
      case "received":
        if (!counts) break;
        this.live.received(message.chunks, now);
        this.bytesReceived += Math.max(0, message.bytes - line.bytes);
        if (line !== this.#line) break;
        this.#acked += Math.max(0, message.bytes - line.bytes);
        if (now - this.#lookedAtMs >= LOOK_MS_MIN) this.#look(now);
        if (message.chunks > 0) this.#choice.worked();
        // The silence is over.
        this.#raced = false;
        this.#dropRacer();
        break;
      case "key_frame_wanted":
        this.#options.onKeyFrameWanted();
        break;
    }
  }

  /** The new relay has taken the stream: the old one may send its viewers there. */
  #sayMoving(): void {
    if (!this.#leaving || this.#overlap !== undefined) return;
    this.#leaving.say({ type: "moving", relays: this.#choice.assignment.relays });
    this.#overlap = setTimeout(() => this.#leaveOld(), MOVE_OVERLAP_MS_MAX);
  }
}

function codeOf(error: unknown) {
  return error instanceof ApiFailure ? error.code : "unreachable";
}
