// <live-player>: the player as one element. `start` begins, `stop` (or leaving the page) ends everything it began.

import type { WatchApi } from "./connection";
import { engineOf } from "./engine";
import { type Clock, Session } from "./session";
import type { PlayerState } from "./state";
import { NO_STATS, type PlayerStats } from "./stats";
import type { OpenTransport } from "./transport/transport";

export interface StartOptions {
  streamId: string;
  api: WatchApi;
  clock: Clock;
  openTransport: OpenTransport;
  muted?: boolean;
  controls?: boolean;
}

export class LivePlayer extends HTMLElement {
  readonly video: HTMLVideoElement;
  #state: PlayerState = { kind: "idle" };
  #session: Session | null = null;
  #life: AbortController | null = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    this.video = document.createElement("video");
    this.video.playsInline = true;
    root.append(this.video);
  }

  get state(): PlayerState {
    return this.#state;
  }

  get stats(): PlayerStats {
    return this.#session?.stats ?? NO_STATS;
  }

  start(options: StartOptions): void {
    this.stop();
    const life = new AbortController();
    this.#life = life;
    this.video.muted = options.muted ?? false;
    const { streamId, api, clock, openTransport } = options;
    this.#session = new Session(
      this.video,
      { streamId, api, clock, openTransport, engine: engineOf(navigator.userAgent) },
      {
        state: (state) => this.#setState(state),
        stats: (stats) => this.dispatchEvent(new CustomEvent("stats", { detail: stats })),
        answered: () => {},
        soundBlocked: () => {},
      },
      life.signal,
    );
  }

  stop(): void {
    this.#life?.abort();
    this.#life = null;
    this.#session = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.#setState({ kind: "idle" });
  }

  disconnectedCallback(): void {
    this.stop();
  }

  #setState(state: PlayerState): void {
    if (state.kind === "idle" && this.#state.kind === "idle") return;
    this.#state = state;
    this.dataset.state = state.kind;
    this.dispatchEvent(new CustomEvent("statechange", { detail: state }));
  }
}
