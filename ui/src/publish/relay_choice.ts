// Which relay to send to next. Pure: what happened goes in, what to do comes out.
import type { Assignment } from "../protocol/generated/Assignment";
import type { ErrorCode } from "../protocol/generated/ErrorCode";
import type { RelayAddress } from "../protocol/generated/RelayAddress";

/** The first wait after a failure; a relay that restarts is back within about a second. */
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
  #next = 0;
  #failures = 0;
  #failed: string | null = null;
  #end: string | undefined;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  next(): Next {
    if (this.#end !== undefined) return { do: "end", reason: this.#end };
    const relay = this.#assignment.relays[this.#next];
    if (!relay) return { do: "ask", failed: this.#failed };
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
    this.#failed = this.#assignment.relays[this.#next]?.name ?? this.#failed;
    // After a time that worked the same relay gets another try first: mostly it was the network.
    this.#failures = outcome.worked ? 1 : this.#failures + 1;
    if (outcome.code && ASK_AGAIN.has(outcome.code)) this.#next = this.#assignment.relays.length;
    else if (!outcome.worked) this.#next += 1;
  }

  /** The directory, or a relay that is about to leave, has named new relays. Old words that come late change nothing. */
  assigned(assignment: Assignment): void {
    if (assignment.epoch < this.#assignment.epoch) return;
    this.#assignment = assignment;
    this.#next = 0;
  }

  /** The directory says where the stream belongs. `renewed`: where it is, with a new ticket; `moved`: elsewhere. */
  ordered(assignment: Assignment): "renewed" | "moved" | "old" {
    const known = this.#assignment;
    if (assignment.epoch < known.epoch) return "old";
    if (assignment.epoch > known.epoch) {
      this.assigned(assignment);
      this.#failures = 0;
      return "moved";
    }
    const at = assignment.relays.findIndex(({ name }) => name === known.relays[this.#next]?.name);
    this.#assignment = assignment;
    if (at >= 0) this.#next = at;
    return "renewed";
  }

  /** Media has arrived over the connection. */
  worked(): void {
    this.#failures = 0;
  }

  /** The directory could not be asked: `code` says why. The relays that are known may still be good. */
  refused(code: ErrorCode | "unreachable"): void {
    this.#failures += 1;
    if (code === "stream_not_found" || code === "unauthorized")
      this.#end = "The stream was away for too long and has been closed. Go live again to start a new one.";
    else this.#next = 0;
  }
}
