// Which relay to send to next. Pure: what happened goes in, what to do comes out.
import type { Assignment } from "../protocol/generated/Assignment";
import type { ErrorCode } from "../protocol/generated/ErrorCode";
import type { RelayAddress } from "../protocol/generated/RelayAddress";

/** The first wait, once the whole list has failed; a relay that restarts is back within about a second. */
const WAIT_MS_MIN = 250;
/** The longest wait: a stream survives ten seconds without its broadcaster, so two tries have to fit. */
const WAIT_MS_MAX = 4000;

/** How a connection ended. */
export interface Outcome {
  /** Whether media had arrived over it. */
  worked: boolean;
  /** What the relay said, if it did. */
  code?: ErrorCode;
}

export type Next =
  /** Connect to this relay with this ticket. */
  | { do: "connect"; relay: RelayAddress; ticket: string }
  /** Ask the directory for relays and a ticket; `failed` is the relay that failed last. */
  | { do: "ask"; failed: string | null }
  /** Give up, and say why. */
  | { do: "end"; reason: string };

/** The ticket is of no use any more, but the directory gives a new one to whoever has the broadcast key. */
const ASK_AGAIN: ReadonlySet<ErrorCode> = new Set([
  "ticket_expired",
  "ticket_invalid",
  "stale_epoch",
  "publisher_present",
  "shutting_down",
  "relay_revoked",
]);

export class RelayChoice {
  #assignment: Assignment;
  /** Where in the list the stream is, or is tried next. */
  #at = 0;
  /** How many of the list are left in this round. */
  #left: number;
  /** No round since the stream worked, and none since the directory spoke of itself: nothing is waited for. */
  #atOnce = true;
  #failures = 0;
  #failed: string | null = null;
  #record: string | null;
  #end: string | undefined;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
    this.#left = assignment.relays.length;
    this.#record = assignment.record ?? null;
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  /** What brings the stream back to a directory that has forgotten it, where there is such. */
  get record(): string | null {
    return this.#record;
  }

  /** The other relays of the list, in the order in which they are to be tried. */
  get others(): RelayAddress[] {
    const { relays } = this.#assignment;
    const { name } = relays[this.#at] ?? {};
    return [...relays.slice(this.#at + 1), ...relays.slice(0, this.#at)].filter((relay) => relay.name !== name);
  }

  next(): Next {
    if (this.#end !== undefined) return { do: "end", reason: this.#end };
    const relay = this.#assignment.relays[this.#at];
    if (!relay || this.#left <= 0) return { do: "ask", failed: this.#failed };
    return { do: "connect", relay, ticket: this.#assignment.ticket };
  }

  /** How long to wait before doing it, in milliseconds; `random` in 0..1 spreads broadcasters of one relay that died. */
  waitMs(random: number): number {
    if (this.#failures === 0) return 0;
    const wait = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** (this.#failures - 1));
    return Math.round(wait * (0.75 + random / 2));
  }

  /** A connection is over. */
  closed(outcome: Outcome): void {
    if (outcome.code === "superseded") {
      this.#end = "This stream has gone live from somewhere else.";
      return;
    }
    if (outcome.code === "stream_not_found") {
      this.#end = "This stream has been closed.";
      return;
    }
    const relays = this.#assignment.relays.length;
    const name = this.#assignment.relays[this.#at]?.name ?? null;
    if (outcome.worked) {
      // The relay that served is the one to tell of; where there is no other it gets a second try.
      this.#failed = name;
      this.#left = Math.max(1, relays - 1);
    } else {
      this.#failed ??= name;
      this.#left -= 1;
      if (!this.#atOnce) this.#failures += 1;
    }
    this.#at = relays > 0 ? (this.#at + 1) % relays : 0;
    if (outcome.code && ASK_AGAIN.has(outcome.code)) this.#left = 0;
  }

  /** The directory has answered, or a relay that is about to leave has named new ones. Old words that come late change nothing. */
  assigned(assignment: Assignment): void {
    this.#record = assignment.record ?? this.#record;
    if (assignment.epoch < this.#assignment.epoch) return;
    this.#take(assignment);
    this.#atOnce = false;
  }

  /** The directory says where the stream belongs. `renewed`: where it is, with a new ticket; `moved`: elsewhere. */
  ordered(assignment: Assignment): "renewed" | "moved" | "old" {
    const known = this.#assignment;
    this.#record = assignment.record ?? this.#record;
    if (assignment.epoch < known.epoch) return "old";
    if (assignment.epoch > known.epoch) {
      this.#take(assignment);
      this.#failures = 0;
      this.#atOnce = true;
      return "moved";
    }
    const at = assignment.relays.findIndex(({ name }) => name === known.relays[this.#at]?.name);
    this.#assignment = assignment;
    if (at >= 0) this.#at = at;
    return "renewed";
  }

  /** The stream is at this relay of the list. */
  isAt(name: string): void {
    this.#at = Math.max(
      0,
      this.#assignment.relays.findIndex((relay) => relay.name === name),
    );
  }

  /** Media has arrived over the connection. */
  worked(): void {
    this.#failures = 0;
    this.#atOnce = true;
    this.#failed = null;
  }

  /** The directory could not be asked: `code` says why. The relays that are known may still be good. */
  refused(code: ErrorCode | "unreachable"): void {
    this.#failures += 1;
    this.#atOnce = false;
    if (code === "stream_not_found" || code === "unauthorized")
      this.#end = "The stream was away for too long and has been closed. Go live again to start a new one.";
    else this.#left = this.#assignment.relays.length;
  }

  #take(assignment: Assignment): void {
    this.#assignment = assignment;
    this.#at = 0;
    this.#left = assignment.relays.length;
  }
}
