// A viewer at a relay, and on its way to the next: one connection, and for moments another beside it. When the relay falls silent
// the two race, and whichever brings media first stays; when the stream moves they join, and nothing is shown twice or lost.

import type { MediaMessage } from "../protocol/media_message";
import type { RelayAddress, ToViewer, WatchAnswer } from "../protocol/messages";
import { LOOK_MS } from "../protocol/quiet";
import type { OpenTransport, TransportKind } from "../transport/transport";
import type { Admissions } from "./admission";
import type { ConnectionEvents } from "./connection";
import { Course, Handover } from "./handover";
import { NEXT, type Outcome, outcomeOf, wantsTicket } from "./outcome";
import type { RelayRound } from "./relay_round";
import { MediaSilence } from "./renewal";
import { Visit } from "./visit";
import { isSwitch, sameTracks, type Watching, type Wish } from "./wish";

/** How long a move may take that the directory wants, not the relay. */
const MOVE_MS_MAX = 5000;
/** How long tracks that bring nothing may hold up the end of a move: sound that is not there. */
const LAST_TRACK_MS_MAX = 1000;

/** A connection that said nothing for this long when the network changed is not waited for: relays speak four times a second. */
const CHANGED_SILENCE_MS = 500;

export interface StayOptions {
  relay: RelayAddress;
  round: RelayRound;
  admissions: Admissions;
  openTransport: OpenTransport;
  events: ConnectionEvents;
  signal: AbortSignal;
  wish: Wish;
  /** The directory has answered again. */
  renewed: (answer: WatchAnswer) => void;
}

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
  readonly #wish: Wish;
  #main: Visit;
  #beside: Beside | null = null;
  /** What has been tried to end this silence. */
  #tried = { race: false, ticket: false, otherEdge: false, unadvised: new Set<string>() };
  #asking = false;
  #mediaCame = false;
  #told: { by: Visit; message: Watching } | null = null;
  #lastTrack: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #resolve: (outcome: Outcome) => void = () => {};

  constructor(private readonly options: StayOptions) {
    options.round.tries(options.relay.name);
    this.#wish = options.wish;
    this.#main = this.#visit(options.relay);
  }

  /** Where the viewer is. */
  get relay(): RelayAddress {
    return this.#main.relay;
  }

  /** What the connection to it travels by; null before it is open. */
  get transportKind(): TransportKind | null {
    return this.#main.transportKind;
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

  /** Another picture may be wanted than before. */
  select(): void {
    if (this.#told?.by === this.#main) this.#wish.ask(this.#main, this.#told.message);
    if (this.#beside?.watching) this.#wish.ask(this.#beside.visit, this.#beside.watching);
  }

  /** What is on its way is not worth waiting for: the same relay is asked over a connection of its own. */
  beginAnew(): void {
    if (this.#life.signal.aborted || this.#beside || this.#main.answeredAt === null) return;
    this.#main.leave();
    this.#main = this.#visit(this.#main.relay);
  }

  /** The network is another one, or the machine slept: a connection that says nothing is not waited for. */
  networkChanged(): void {
    if (this.#life.signal.aborted || this.#main.silentMs(performance.now()) < CHANGED_SILENCE_MS) return;
    if (this.#main.answeredAt === null) this.#over({ kind: "ask", now: true });
    else if (!this.#beside?.handover) this.#race();
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
      opened: (visit) => this.#wish.foretell(visit),
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
    this.#heard();
    switch (message.type) {
      case "watching":
        this.#silence.broken(performance.now());
        this.#wish.told(this.#main, message);
        this.#tellWatching(this.#main, message);
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
    if (message.type === "watching") {
      beside.watching = message;
      this.#wish.told(beside.visit, message);
    } else if (message.type === "stream_ended" && !beside.handover) this.#over({ kind: "ended" });
    else if (message.type === "error") {
      const outcome = outcomeOf(message);
      if (outcome.kind === "failed") {
        this.#over(outcome);
        return;
      }
      if (wantsTicket(message.code) && !beside.handover) void this.#newTicket();
      this.#left(beside.visit, outcome);
    } else if (message.type === "move" || message.type === "stream_ended") this.#left(beside.visit, NEXT);
  }

  #media(visit: Visit, message: MediaMessage): void {
    const beside = this.#beside;
    if (visit === this.#main) {
      this.#heard();
      this.#tried.otherEdge = false;
      this.#tried.unadvised.clear();
      this.#mediaCame = true;
      this.#silence.broken(performance.now());
      this.options.admissions.forgotten.heardOf();
      if (beside && !beside.handover) this.#dropBeside();
      this.#show(beside?.handover ? beside.handover.fromOld(message) : this.#passed(message));
      this.#finishMove();
    } else if (beside && visit === beside.visit) {
      if (beside.handover) {
        if (beside.watching && this.#wish.isStandIn(beside.watching, message.header)) return;
        const media = beside.handover.fromNew(message);
        if (media.length > 0 && beside.watching && this.#wish.isMet(beside.watching)) this.#tellNewTracks(beside);
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

  #tellWatching(by: Visit, message: Watching): void {
    const before = this.#told;
    this.#told = { by, message };
    // The same connection goes on with another picture of the same stream.
    const switched = before?.by === by && isSwitch(before.message, message);
    this.options.events.watching(message, !switched);
  }

  /** During a move only other tracks are news. */
  #tellNewTracks({ visit, watching }: Beside): void {
    if (!watching) return;
    if (this.#told && sameTracks(this.#told.message, watching)) this.#told = { by: visit, message: watching };
    else this.#tellWatching(visit, watching);
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
      if (silent) this.options.events.lost(1, false);
      this.#goOnBeside(this.#beside);
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
    this.#heard();
    clearTimeout(this.#lastTrack);
    clearTimeout(this.#deadline);
    this.#silence.broken(performance.now());
    const { round } = this.options;
    if (this.#main.answeredAt === null) round.tries(this.#main.relay.name);
    else round.served(this.#main.relay.name);
    if (beside.handover?.begun) this.#tellNewTracks(beside);
    else if (beside.watching) this.#tellWatching(this.#main, beside.watching);
    if (beside.handover) this.#show(beside.handover.end());
  }

  #finishMove(): void {
    const beside = this.#beside;
    if (!beside?.handover?.underWay) return;
    // The wanted picture comes with the next segment, within the time that the move has.
    if (beside.watching && !this.#wish.isMet(beside.watching)) return;
    if (beside.handover.complete(beside.watching?.selected ?? [])) this.#goOnBeside(beside);
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
    else if (patience === "lost_patience" && !this.#beside && !this.#tried.race) this.#race();
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
    this.#tried.race = true;
    const { name } = this.#main.relay;
    const others = this.options.round.othersThan(name);
    const again = this.#main.answeredAt === null ? [] : [this.#main.relay];
    this.#open(others.length > 0 ? others : again, null);
  }

  /** The relay has broken its silence. */
  #heard(): void {
    this.#tried.race = false;
    this.#tried.ticket = false;
  }

  /** The ticket has run out unnoticed, as in a sleep: the relays that were tried with it are tried once more. */
  async #newTicket(): Promise<void> {
    if (this.#asking || this.#tried.ticket) return;
    this.#tried.ticket = true;
    await this.#renew(true);
    this.#tried.race = false;
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
    else if (silent && (admission.kind === "unknown" || (admission.kind === "again" && !admission.busy)))
      this.#lookAround();
  }

  /** Nobody can say where the stream is, as when the directory went together with a relay: the others of the list are looked at, each
   * once in a silence, and what brings nothing until the next look makes room for the next. */
  #lookAround(): void {
    if (this.#beside?.handover) return;
    const { unadvised } = this.#tried;
    const beside = this.#beside?.visit.relay.name;
    if (beside !== undefined && !unadvised.has(beside)) {
      unadvised.add(beside);
      return;
    }
    const others = this.options.round.othersThan(this.#main.relay.name).filter(({ name }) => !unadvised.has(name));
    if (!others[0]) return;
    unadvised.add(others[0].name);
    this.#open(others, null);
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
      if (wanted || (relays[0]?.name === name && this.#mayBeCutOff())) this.#open(others, null);
    } else if (!named) this.#join(others, MOVE_MS_MAX);
  }

  /** An edge that brings nothing may have lost its way to a stream that goes on elsewhere. Looked after once in a silence: every
   * relay that is asked fetches the stream for it. */
  #mayBeCutOff(): boolean {
    const edge = this.#told?.by === this.#main && (this.#told.message.path?.length ?? 1) > 1;
    if (!edge || this.#beside || this.#tried.otherEdge) return false;
    this.#tried.otherEdge = true;
    return true;
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
