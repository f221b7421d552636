// A viewer at a relay, and on its way to the next: one connection, and for moments another beside it. When the relay falls silent
// the two race, and whichever brings media first stays; when the stream moves they join, and nothing is shown twice or lost.

import type { MediaMessage } from "../protocol/media_message";
import type { ErrorCode, RelayAddress, ToViewer, WatchAnswer } from "../protocol/messages";
import { LOOK_MS } from "../protocol/quiet";
import type { Admissions } from "./admission";
import type { ConnectionEvents } from "./connection";
import { Course, Handover } from "./handover";
import type { RelayRound } from "./relay_round";
import { MediaSilence } from "./renewal";
import type { FailureCode } from "./state";
import type { OpenTransport } from "./transport/transport";
import { Visit } from "./visit";

/** How long a move may take that the directory wants, not the relay. */
const MOVE_MS_MAX = 5000;
/** How long tracks that bring nothing may hold up the end of a move: sound that is not there. */
const LAST_TRACK_MS_MAX = 1000;

/** How a stay was over. */
export type Outcome =
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string }
  /** The directory must be asked again; `now` without a pause. */
  | { kind: "ask"; now: boolean }
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

export interface StayOptions {
  relay: RelayAddress;
  round: RelayRound;
  admissions: Admissions;
  openTransport: OpenTransport;
  events: ConnectionEvents;
  signal: AbortSignal;
  /** The directory has answered again. */
  renewed: (answer: WatchAnswer) => void;
}

type Watching = Extract<ToViewer, { type: "watching" }>;

/** The second connection. */
interface Beside {
  visit: Visit;
  watching: Watching | null;
  /** Where to try after it. */
  others: RelayAddress[];
  /** Joins the two; null where they race. */
  handover: Handover | null;
}

export class Stay {
  readonly #life = new AbortController();
  readonly #silence = new MediaSilence(performance.now());
  readonly #course = new Course();
  #main: Visit;
  #beside: Beside | null = null;
  /** This silence has had its race. */
  #raced = false;
  #asking = false;
  #mediaCame = false;
  #watching = "";
  #lastTrack: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #resolve: (outcome: Outcome) => void = () => {};

  constructor(private readonly options: StayOptions) {
    options.round.tries(options.relay.name);
    this.#main = this.#visit(options.relay);
  }

  /** Where the viewer is. */
  get relay(): RelayAddress {
    return this.#main.relay;
  }

  /** When that relay accepted the ticket; null before. */
  get answeredAt(): number | null {
    return this.#main.answeredAt;
  }

  /** Resolves when no connection is left. Called once. */
  run(): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      const watchdog = setInterval(() => this.#look(), LOOK_MS);
      this.#life.signal.addEventListener("abort", () => {
        for (const timer of [watchdog, this.#lastTrack, this.#deadline]) clearTimeout(timer);
      });
      const during = { signal: this.#life.signal, once: true };
      this.options.signal.addEventListener("abort", () => this.#over(NEXT), during);
      if (this.options.signal.aborted) this.#over(NEXT);
    });
  }

  #over(outcome: Outcome): void {
    if (this.#life.signal.aborted) return;
    this.#main.leave();
    this.#beside?.visit.leave();
    this.#life.abort();
    this.#resolve(outcome);
  }

  #visit(relay: RelayAddress): Visit {
    return new Visit(relay, this.options.admissions.ticket, this.options.openTransport, {
      message: (visit, message) => this.#hear(visit, message),
      media: (visit, message) => this.#media(visit, message),
      closed: (visit) => this.#left(visit, NEXT),
    });
  }

  #hear(visit: Visit, message: ToViewer): void {
    if (visit === this.#main) this.#hearMain(message);
    else if (visit === this.#beside?.visit) this.#hearBeside(this.#beside, message);
  }

  #hearMain(message: ToViewer): void {
    const { events } = this.options;
    // A relay that is heard again has broken its silence.
    this.#raced = false;
    switch (message.type) {
      case "watching":
        this.#silence.broken(performance.now());
        this.#tellWatching(message);
        return;
      case "skipped":
        events.skipped(message.track, message.chunks);
        return;
      case "viewers":
        events.viewers(message.count);
        return;
      case "broadcaster":
        this.#silence.broadcaster(message.present, performance.now());
        events.broadcaster(message.present);
        return;
      case "move":
        void this.#move(message.relays ?? [], message.within_ms);
        return;
      case "stream_ended":
        this.#over({ kind: "ended" });
        return;
      case "error":
        this.#left(this.#main, outcomeOf(message));
    }
  }

  #hearBeside(beside: Beside, message: ToViewer): void {
    if (message.type === "watching") beside.watching = message;
    else if (message.type === "stream_ended" && !beside.handover) this.#over({ kind: "ended" });
    else if (message.type === "error") {
      const outcome = outcomeOf(message);
      if (outcome.kind === "failed") this.#over(outcome);
      else this.#left(beside.visit, outcome);
    } else if (message.type === "move" || message.type === "stream_ended") this.#left(beside.visit, NEXT);
  }

  #media(visit: Visit, message: MediaMessage): void {
    const beside = this.#beside;
    if (visit === this.#main) {
      this.#raced = false;
      this.#mediaCame = true;
      this.#silence.broken(performance.now());
      if (beside && !beside.handover) this.#dropBeside();
      this.#show(beside?.handover ? beside.handover.fromOld(message) : this.#passed(message));
      this.#finishMove();
    } else if (beside && visit === beside.visit) {
      if (beside.handover) {
        const media = beside.handover.fromNew(message);
        if (media.length > 0 && beside.watching) this.#tellNewTracks(beside.watching);
        this.#show(media);
        this.#finishMove();
      } else {
        this.#goOnBeside(beside);
        this.#show(this.#passed(message));
      }
    }
  }

  #passed(message: MediaMessage): MediaMessage[] {
    this.#course.passed(message);
    return [message];
  }

  #show(messages: MediaMessage[]): void {
    for (const message of messages) this.options.events.media(message);
  }

  #tellWatching(message: Watching): void {
    this.#watching = tracksOf(message);
    this.options.events.watching(message);
  }

  /** During a move only other tracks are news. */
  #tellNewTracks(message: Watching): void {
    if (tracksOf(message) !== this.#watching) this.#tellWatching(message);
  }

  /** A connection is over. */
  #left(visit: Visit, outcome: Outcome): void {
    if (visit === this.#beside?.visit) {
      visit.leave();
      const [relay, ...others] = this.#beside.others;
      if (!relay) this.#dropBeside();
      else this.#beside = { ...this.#beside, visit: this.#visit(relay), watching: null, others };
      return;
    }
    if (visit !== this.#main) return;
    if (this.#beside && (outcome.kind === "next" || outcome.kind === "ask")) {
      const silent = !this.#beside.handover?.begun;
      this.#goOnBeside(this.#beside);
      if (silent) this.options.events.lost(1, false);
    } else this.#over(outcome);
  }

  #dropBeside(): void {
    this.#beside?.visit.leave();
    this.#beside = null;
    clearTimeout(this.#lastTrack);
    clearTimeout(this.#deadline);
  }

  /** The second connection is the only one from here on. */
  #goOnBeside(beside: Beside): void {
    this.#main.leave();
    this.#main = beside.visit;
    this.#beside = null;
    this.#raced = false;
    clearTimeout(this.#lastTrack);
    clearTimeout(this.#deadline);
    this.#silence.broken(performance.now());
    const { round } = this.options;
    if (this.#main.answeredAt === null) round.tries(this.#main.relay.name);
    else round.served(this.#main.relay.name);
    if (beside.watching && beside.handover?.begun) this.#tellNewTracks(beside.watching);
    else if (beside.watching) this.#tellWatching(beside.watching);
    if (beside.handover) this.#show(beside.handover.end());
  }

  #finishMove(): void {
    const beside = this.#beside;
    if (!beside?.handover?.underWay) return;
    const tracks = beside.watching?.selected ?? [];
    if (beside.handover.complete(tracks)) this.#goOnBeside(beside);
    else this.#lastTrack ??= setTimeout(() => this.#beside === beside && this.#goOnBeside(beside), LAST_TRACK_MS_MAX);
  }

  #open(relays: RelayAddress[], handover: Handover | null): void {
    const [relay, ...others] = relays;
    if (!relay) return;
    this.#dropBeside();
    this.#lastTrack = undefined;
    this.#beside = { visit: this.#visit(relay), watching: null, others, handover };
  }

  #look(): void {
    const now = performance.now();
    const { admissions } = this.options;
    const patience = this.#main.look(now);
    if (patience === "dead") this.#left(this.#main, NEXT);
    else if (patience === "lost_patience" && !this.#beside && !this.#raced) this.#race();
    const beside = this.#beside?.visit.look(now) ?? "fine";
    // While there are others to try nobody waits long for one that does not answer.
    const others = (this.#beside?.others.length ?? 0) > 0;
    if (this.#beside && (beside === "dead" || (beside === "lost_patience" && others))) {
      this.#left(this.#beside.visit, NEXT);
    }
    if (this.#life.signal.aborted || this.#main.answeredAt === null || this.#asking) return;
    const silent = this.#silence.due(now);
    if (silent || admissions.renewal.due(now)) void this.#renew(silent);
  }

  /** The relay is silent: another one is opened beside it; the same where there is no other, as only the connection may be dead. */
  #race(): void {
    this.#raced = true;
    const { name } = this.#main.relay;
    const others = this.options.round.othersThan(name);
    const again = this.#main.answeredAt === null ? [] : [this.#main.relay];
    this.#open(others.length > 0 ? others : again, null);
  }

  /** Asks the directory while the connection lives: for a new ticket, or because no media comes (`silent`). */
  async #renew(silent: boolean): Promise<void> {
    this.#asking = true;
    const admission = await this.options.admissions.renew();
    this.#asking = false;
    if (this.#life.signal.aborted) return;
    if (admission.kind === "in") this.#goOn(admission.answer, silent);
    else if (admission.kind === "stale") this.#over({ kind: "ask", now: true });
    else if (admission.kind === "failed" && admission.code === "viewer_removed") this.#over(admission);
    // While media comes the relay knows better than a directory that has lost the stream.
    else if (admission.kind === "ended" && silent) this.#over(admission);
  }

  #goOn(answer: WatchAnswer, silent: boolean): void {
    const { relays, ticket } = answer.assignment;
    const { name } = this.#main.relay;
    this.options.renewed(answer);
    if (relays.length === 0) return;
    const named = relays.some((relay) => relay.name === name);
    if (named) this.#main.send({ type: "renew_ticket", ticket });
    if (this.#beside?.handover) return;
    const others = relays.filter((relay) => relay.name !== name);
    if (silent) {
      // Where the stream is stands first. The relay that brings nothing is kept until another one brings something.
      const wanted = relays[0]?.name !== name && relays[0]?.name !== this.#beside?.visit.relay.name;
      if (wanted) this.#open(others, null);
    } else if (!named) this.#join(others, MOVE_MS_MAX);
  }

  /** The relay sends its viewers elsewhere. */
  async #move(relays: RelayAddress[], withinMs: number): Promise<void> {
    if (this.#beside?.handover || this.#life.signal.aborted) return;
    if (!this.#mediaCame || withinMs <= 0) {
      this.#over({ kind: "ask", now: true });
      return;
    }
    const begun = performance.now();
    const { round, admissions } = this.options;
    const { name } = this.#main.relay;
    let known = round.known(relays).filter((relay) => relay.name !== name);
    if (known.length === 0) {
      const admission = await admissions.renew();
      if (this.#life.signal.aborted || this.#beside?.handover) return;
      if (admission.kind === "in") {
        this.options.renewed(admission.answer);
        const answered = admission.answer.assignment.relays.filter((relay) => relay.name !== name);
        // The relay knows better where the stream goes on; the directory knows which relays the ticket opens.
        known = answered.filter((relay) => relays.some((wanted) => wanted.name === relay.name));
        if (known.length === 0) known = answered;
      }
    }
    if (known.length > 0) this.#join(known, withinMs - (performance.now() - begun));
    else if (this.#beside === null) this.#over({ kind: "ask", now: true });
  }

  /** Opens the new place while the old one plays, and changes over where their segments meet. */
  #join(relays: RelayAddress[], withinMs: number): void {
    this.#open(relays, new Handover(this.#course));
    const beside = this.#beside;
    this.#deadline = setTimeout(() => {
      if (this.#beside === null || this.#beside.handover !== beside?.handover) return;
      if (this.#beside.handover?.begun) this.#goOnBeside(this.#beside);
      else this.#over({ kind: "ask", now: true });
    }, withinMs);
  }
}

function outcomeOf({ code, message }: Extract<ToViewer, { type: "error" }>): Outcome {
  if (FINAL.has(code)) return { kind: "failed", code, message };
  if (ASK_AGAIN.has(code)) return { kind: "ask", now: false };
  return { kind: "next", busy: code === "too_many_requests" };
}

function tracksOf({ tracks, selected }: Watching): string {
  return JSON.stringify([tracks, selected]);
}
