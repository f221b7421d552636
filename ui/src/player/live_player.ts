// <live-player>: the player as one element. `start` begins, `stop` (or leaving the page) ends everything it began.

import type { OpenTransport } from "../transport/transport";
import type { WatchApi } from "./admission";
import { Controls } from "./controls";
import { engineOf } from "./engine";
import { PLAYER_STYLES } from "./player_styles";
import { type Clock, Session } from "./session";
import type { PlayerState } from "./state";
import { NO_STATS, type PlayerStats } from "./stats";
import { recallVolume } from "./volume_memory";

export interface StartOptions {
  streamId: string;
  api: WatchApi;
  clock: Clock;
  openTransport: OpenTransport;
  /** What opens an end-to-end encrypted stream: 32 bytes in base64url, from the fragment of its link. */
  contentKey?: string | null;
  /** Without sound, whatever was remembered. */
  muted?: boolean;
  /** Buttons and keys over the picture; there unless false. */
  controls?: boolean;
}

export class LivePlayer extends HTMLElement {
  readonly video: HTMLVideoElement;
  #state: PlayerState = { kind: "idle" };
  #session: Session | null = null;
  #controls: Controls | null = null;
  /** Ends everything that `start` began. */
  #life: AbortController | null = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    // A constructed sheet is no inline style: a strict content security policy lets it pass.
    const styles = new CSSStyleSheet();
    styles.replaceSync(PLAYER_STYLES);
    root.adoptedStyleSheets = [styles];
    this.video = document.createElement("video");
    this.video.playsInline = true;
    this.video.setAttribute("aria-label", "Live stream");
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
    const volume = recallVolume();
    this.video.volume = volume.level;
    this.video.muted = options.muted ?? volume.muted;
    const withControls = options.controls ?? true;
    this.tabIndex = withControls ? 0 : -1;
    const controls = new Controls(
      this,
      this.video,
      {
        pause: () => this.#session?.pause(),
        goLive: () => this.#session?.goLive(),
        givePassword: (password) => this.#session?.givePassword(password),
        choosePicture: (choice) => this.#session?.choosePicture(choice),
        retry: () => this.start(options),
      },
      withControls,
      life.signal,
    );
    this.#controls = controls;
    const { streamId, api, clock, openTransport, contentKey = null } = options;
    this.#session = new Session(
      this.video,
      { streamId, api, clock, openTransport, contentKey, engine: engineOf(navigator.userAgent) },
      {
        state: (state) => this.#setState(state),
        stats: (stats) => {
          controls.showStats(stats);
          this.dispatchEvent(new CustomEvent("stats", { detail: stats }));
        },
        answered: ({ stream }) => this.video.setAttribute("aria-label", `Live: ${stream.title}`),
        soundBlocked: () => controls.offerSound(),
      },
      life.signal,
    );
  }

  stop(): void {
    if (!this.#life) return;
    this.#life.abort();
    this.#life = null;
    this.#session = null;
    this.#controls = null;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.#setState({ kind: "idle" });
  }

  connectedCallback(): void {
    this.dataset.state = this.#state.kind;
  }

  disconnectedCallback(): void {
    // Moving the element within the page also comes by here; only one that stays away is over.
    queueMicrotask(() => {
      if (!this.isConnected) this.stop();
    });
  }

  #setState(state: PlayerState): void {
    this.#state = state;
    this.dataset.state = state.kind;
    this.#controls?.showState(state);
    this.dispatchEvent(new CustomEvent("statechange", { detail: state }));
  }
}
