// Opens the way to a relay that is open first. What it decides is in `race`, what it remembers in `known_ways`.

import type { RelayAddress } from "../protocol/messages";
import type { KnownWays } from "./known_ways";
import { HEAD_START_MS, Race, type RaceAction, type RaceEvent, type Way } from "./race";
import type { MediaOut, OpenTransport, Transport, TransportKind } from "./transport";

/** How long an attempt that was too late goes on, to tell a lost packet of the handshake, which costs a second, from a network that
 * lets none through. */
const LATE_MS_MAX = 3000;
/** A session that was left after so long a silence was broken: relays speak four times a second. */
const SILENT_MS_MAX = 900;
/** No page that is awake waits for so long: the machine slept, which is nobody's fault. */
const SLEPT_MS = 10_000;

export interface Ways {
  websocket: OpenTransport;
  webtransport: OpenTransport;
  /** Whether a relay can be reached by WebTransport from here. */
  canWebTransport: (relay: RelayAddress) => boolean;
  known: KnownWays;
}

export function fastest(ways: Ways): OpenTransport {
  return (relay, signal) => {
    const opening = new Fastest(ways, relay);
    opening.begin(signal);
    return opening;
  };
}

interface Runner {
  transport: Transport;
  life: AbortController;
}

class Fastest implements Transport {
  onopen: Transport["onopen"] = null;
  onmessage: Transport["onmessage"] = null;
  onclose: Transport["onclose"] = null;
  readonly #race: Race;
  readonly #runners = new Map<Way, Runner>();
  readonly #address: string;
  #winner: Transport | null = null;
  #isOver = false;
  #headStart: ReturnType<typeof setTimeout> | undefined;
  #heardAtMs = 0;
  #unfollow: () => void = () => {};

  constructor(
    private readonly ways: Ways,
    private readonly relay: RelayAddress,
  ) {
    // Another certificate is another chance.
    this.#address = JSON.stringify(relay.webtransport ?? null);
    const mayTry = ways.known.mayTry(this.#address, performance.now());
    this.#race = new Race(ways.canWebTransport(relay) && mayTry);
  }

  get kind(): TransportKind | null {
    return this.#winner?.kind ?? null;
  }

  get mediaOut(): MediaOut | null {
    return this.#winner?.mediaOut ?? null;
  }

  begin(signal: AbortSignal): void {
    const close = () => this.close();
    signal.addEventListener("abort", close, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", close);
    if (signal.aborted) {
      queueMicrotask(close);
      return;
    }
    this.#headStart = setTimeout(() => this.#tell({ type: "head_start_over" }), HEAD_START_MS);
    this.#tell({ type: "begun" });
  }

  send(text: string): void {
    this.#winner?.send(text);
  }

  close(): void {
    if (this.#isOver) return;
    const silentMs = performance.now() - this.#heardAtMs;
    if (this.kind === "webtransport" && silentMs > SILENT_MS_MAX && silentMs < SLEPT_MS) {
      this.ways.known.refused(this.#address, performance.now());
    }
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unfollow();
    clearTimeout(this.#headStart);
    for (const { life } of this.#runners.values()) life.abort();
    this.onclose?.();
  }

  #tell(event: RaceEvent): void {
    if (this.#isOver) return;
    for (const action of this.#race.tell(event)) this.#do(action);
  }

  #do(action: RaceAction): void {
    const { known } = this.ways;
    if (action.do === "open") this.#open(action.way);
    else if (action.do === "give_up") this.#over();
    else if (action.do === "take") this.#take(action.way);
    else if (action.silent) known.wasSilent(performance.now());
    else known.refused(this.#address, performance.now());
  }

  #open(way: Way): void {
    const life = new AbortController();
    const transport = this.ways[way](this.relay, life.signal);
    this.#runners.set(way, { transport, life });
    transport.onopen = () => this.#tell({ type: "opened", way });
    transport.onclose = () => {
      this.#runners.delete(way);
      if (this.#winner === transport) this.#over();
      else this.#tell({ type: "failed", way });
    };
    transport.onmessage = (data) => {
      this.#heardAtMs = performance.now();
      this.onmessage?.(data);
    };
  }

  #beaten(way: Way, { transport, life }: Runner): void {
    transport.onclose = null;
    transport.onopen = null;
    if (way === "websocket") {
      life.abort();
      return;
    }
    const enough = setTimeout(() => life.abort(), LATE_MS_MAX);
    transport.onclose = () => clearTimeout(enough);
    transport.onopen = () => {
      this.ways.known.opened();
      life.abort();
    };
  }

  #take(way: Way): void {
    clearTimeout(this.#headStart);
    const winner = this.#runners.get(way);
    if (!winner) return;
    this.#winner = winner.transport;
    this.#heardAtMs = performance.now();
    if (way === "webtransport") this.ways.known.opened();
    for (const [other, runner] of this.#runners) if (other !== way) this.#beaten(other, runner);
    this.onopen?.();
  }
}
