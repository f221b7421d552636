// Which of two ways to a relay is taken: WebTransport gets a head start, and the first that opens wins. Pure: what happens goes in,
// what to do comes out.

/** How long WebTransport may take before a WebSocket is tried beside it: its handshake over 80 ms there and back, and some. */
export const HEAD_START_MS = 300;

export type Way = "webtransport" | "websocket";

export type RaceEvent = { type: "begun" | "head_start_over" } | { type: "opened" | "failed"; way: Way };

export type RaceAction =
  | { do: "open"; way: Way }
  /** The race is over; what else is open, or opening, is closed. */
  | { do: "take"; way: Way }
  /** Over, too: there is no way. */
  | { do: "give_up" }
  /** WebTransport could not be opened where a WebSocket could. `silent`: nobody has refused it. */
  | { do: "blame"; silent: boolean };

type Runner = "waits" | "runs" | "failed";

export class Race {
  readonly #rivals: boolean;
  readonly #runners: Record<Way, Runner>;
  #over = false;

  /** `rivals`: WebTransport takes part. */
  constructor(rivals: boolean) {
    this.#rivals = rivals;
    this.#runners = { webtransport: rivals ? "waits" : "failed", websocket: "waits" };
  }

  tell(event: RaceEvent): RaceAction[] {
    if (this.#over) return [];
    switch (event.type) {
      case "begun":
        return this.#open(this.#rivals ? "webtransport" : "websocket");
      case "head_start_over":
        return this.#open("websocket");
      case "opened":
        this.#over = true;
        return [...this.#blame(event.way), { do: "take", way: event.way }];
      case "failed":
        return this.#failed(event.way);
    }
  }

  #open(way: Way): RaceAction[] {
    if (this.#runners[way] !== "waits") return [];
    this.#runners[way] = "runs";
    return [{ do: "open", way }];
  }

  #failed(way: Way): RaceAction[] {
    this.#runners[way] = "failed";
    if (Object.values(this.#runners).every((runner) => runner === "failed")) {
      this.#over = true;
      return [{ do: "give_up" }];
    }
    return this.#open("websocket");
  }

  #blame(winner: Way): RaceAction[] {
    if (!this.#rivals || winner === "webtransport") return [];
    return [{ do: "blame", silent: this.#runners.webtransport === "runs" }];
  }
}
