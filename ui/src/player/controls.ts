// Buttons, words and keys over the picture. Shows what the session says and asks for what a person wants; decides nothing itself.

import { icon } from "./icons";
import { actionOf, focusOf, type KeyAction } from "./keyboard";
import { PASSWORD_PROMPT, PasswordPrompt } from "./password_prompt";
import type { PictureChoice } from "./picture";
import { QUALITY_MENU, QualityMenu } from "./quality_menu";
import type { PlayerState } from "./state";
import type { PlayerStats } from "./stats";
import { rememberVolume } from "./volume_memory";
import { delayWords, viewersWords, wordsFor } from "./words";

export interface ControlsEvents {
  pause(): void;
  goLive(): void;
  retry(): void;
  givePassword(password: string): void;
  choosePicture(choice: PictureChoice): void;
}

/** Controls go away after this long without a hand on them. */
const IDLE_MS = 2600;
const VOLUME_STEP = 0.1;

const LAYOUT = `
<div class="veil" data-shape="none">
  <div class="spinner" hidden></div>
  <button class="action" type="button" hidden></button>
  <div class="words" role="status" aria-live="polite"><p class="title"></p><p class="detail"></p></div>
  ${PASSWORD_PROMPT}
</div>
<button class="unmute" type="button" hidden>${icon("muted")}<span>Tap for sound</span></button>
<div class="bar" role="group" aria-label="Player">
  <button class="play" type="button"></button>
  <div class="volume">
    <button class="mute" type="button"></button>
    <input type="range" min="0" max="1" step="0.05" aria-label="Volume">
  </div>
  <button class="live" type="button" title="Jump to live"><span class="dot"></span><span>LIVE</span><span class="delay"></span></button>
  <div class="space"></div>
  <div class="facts"><span class="picture"></span><span class="viewers" hidden>${icon("people")}<span class="count"></span></span></div>
  ${QUALITY_MENU}
  <button class="pip" type="button" aria-label="Picture in picture" title="Picture in picture (i)">${icon("picture")}</button>
  <button class="full" type="button"></button>
</div>`;

export class Controls {
  #state: PlayerState = { kind: "idle" };
  #pictureSeen = false;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #parts: HTMLElement;
  readonly #prompt: PasswordPrompt;
  readonly #quality: QualityMenu;

  constructor(
    private readonly host: HTMLElement,
    private readonly video: HTMLVideoElement,
    private readonly events: ControlsEvents,
    visible: boolean,
    signal: AbortSignal,
  ) {
    this.#parts = document.createElement("div");
    this.#parts.innerHTML = LAYOUT;
    host.shadowRoot?.append(this.#parts);
    const form = this.#part("password") as HTMLFormElement;
    this.#prompt = new PasswordPrompt(form, (password) => this.events.givePassword(password), signal);
    this.#quality = new QualityMenu(this.#part("quality"), (choice) => this.events.choosePicture(choice), signal);
    signal.addEventListener("abort", () => {
      clearTimeout(this.#idleTimer);
      this.#parts.remove();
      host.removeAttribute("data-idle");
    });
    this.#part("bar").hidden = !visible;
    this.#part("unmute").dataset.allowed = String(visible);
    this.#wire(signal);
    if (visible) this.#wireKeys(signal);
    this.#part("pip").hidden = !document.pictureInPictureEnabled;
    this.#part("full").hidden = !canFullscreen(host, video);
    this.#showVolume();
    this.#showFullscreen();
    this.showState(this.#state);
  }

  showState(state: PlayerState): void {
    this.#state = state;
    if (state.kind === "playing") this.#pictureSeen = true;
    const words = wordsFor(state, this.#pictureSeen);
    this.#part("veil").dataset.shape = words.shape;
    this.#part("spinner").hidden = !words.busy;
    setText(this.#part("title"), words.title);
    setText(this.#part("detail"), words.detail);
    const action = this.#part("action");
    action.hidden = words.action === "none";
    action.dataset.action = words.action;
    action.innerHTML = words.action === "play" ? icon("play") : "Try again";
    action.setAttribute("aria-label", words.action === "play" ? "Play" : "Try again");
    if (words.password) this.#prompt.ask(words.password.waitMs);
    else this.#prompt.hide();
    const stopped = state.kind === "paused" || state.kind === "needs_click";
    label(this.#part("play"), stopped ? "play" : "pause", stopped ? "Play live (k)" : "Pause (k)");
    this.#part("live").toggleAttribute("data-on", state.kind === "playing");
    this.#wake();
  }

  showStats(stats: PlayerStats): void {
    const playing = this.#state.kind === "playing";
    setText(this.#part("delay"), playing && stats.latencyMs !== null ? delayWords(stats.latencyMs) : "");
    const rate = Math.round(stats.framesPerSecond);
    setText(this.#part("picture"), stats.width > 0 && playing ? `${stats.width}×${stats.height} · ${rate} fps` : "");
    this.#quality.show(stats.rendition);
    const viewers = this.#part("viewers");
    viewers.hidden = stats.viewers === null;
    if (stats.viewers !== null) {
      setText(this.#part("count"), String(stats.viewers));
      viewers.setAttribute("aria-label", viewersWords(stats.viewers));
      viewers.title = viewersWords(stats.viewers);
    }
  }

  /** Sound waits for a click. */
  offerSound(): void {
    const button = this.#part("unmute");
    button.hidden = button.dataset.allowed !== "true";
  }

  #wire(signal: AbortSignal): void {
    const during = { signal };
    const click = (name: string, act: () => void) => this.#part(name).addEventListener("click", act, during);
    click("play", () => this.#do("toggle_play"));
    click("mute", () => this.#do("toggle_mute"));
    click("live", () => this.events.goLive());
    click("pip", () => this.#do("picture_in_picture"));
    click("full", () => this.#do("fullscreen"));
    click("unmute", () => this.#setMuted(false));
    click("action", () =>
      this.#part("action").dataset.action === "retry" ? this.events.retry() : this.events.goLive(),
    );
    const slider = this.#slider();
    slider.addEventListener("input", () => this.#setVolume(Number(slider.value)), during);
    this.video.addEventListener("volumechange", () => this.#showVolume(), during);
    this.video.addEventListener("dblclick", () => this.#do("fullscreen"), during);
    document.addEventListener("fullscreenchange", () => this.#showFullscreen(), during);
    for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      this.host.addEventListener(name, () => this.#wake(), during);
    }
    this.host.addEventListener("pointerleave", () => this.#wake(400), during);
  }

  #wireKeys(signal: AbortSignal): void {
    document.addEventListener(
      "keydown",
      (event) => {
        const path = event.composedPath();
        const ours = path.includes(this.host) || path[0] === document.body;
        const action = ours && !event.defaultPrevented ? actionOf(event, focusOf(path[0])) : null;
        if (!action) return;
        event.preventDefault();
        this.#wake();
        this.#do(action);
      },
      { signal },
    );
  }

  #do(action: KeyAction): void {
    const { video } = this;
    if (action === "toggle_play") {
      const stopped = this.#state.kind === "paused" || this.#state.kind === "needs_click";
      if (stopped) this.events.goLive();
      else this.events.pause();
    }
    if (action === "toggle_mute") this.#setMuted(!video.muted);
    if (action === "louder") this.#setVolume(video.volume + VOLUME_STEP);
    if (action === "quieter") this.#setVolume(video.volume - VOLUME_STEP);
    if (action === "quality") this.#quality.toggle();
    if (action === "fullscreen") toggleFullscreen(this.host, video);
    if (action === "picture_in_picture" && document.pictureInPictureEnabled) {
      const shown = document.pictureInPictureElement
        ? document.exitPictureInPicture()
        : video.requestPictureInPicture();
      // Refused before the first picture, or by the person: nothing to do about either.
      void Promise.resolve(shown).catch(() => {});
    }
  }

  #setMuted(muted: boolean): void {
    this.video.muted = muted;
    if (!muted && this.video.volume === 0) this.video.volume = 0.5;
    this.#part("unmute").hidden = true;
    rememberVolume({ level: this.video.volume, muted });
  }

  #setVolume(level: number): void {
    this.video.volume = Math.min(1, Math.max(0, Math.round(level * 100) / 100));
    this.video.muted = this.video.volume === 0;
    this.#part("unmute").hidden = true;
    rememberVolume({ level: this.video.volume, muted: this.video.muted });
  }

  #showVolume(): void {
    const silent = this.video.muted || this.video.volume === 0;
    label(this.#part("mute"), silent ? "muted" : "sound", silent ? "Sound on (m)" : "Mute (m)");
    const level = silent ? 0 : this.video.volume;
    this.#slider().value = String(level);
    this.#slider().style.setProperty("--level", `${level * 100}%`);
  }

  #showFullscreen(): void {
    const full = document.fullscreenElement === this.host;
    label(this.#part("full"), full ? "shrink" : "expand", full ? "Leave full screen (f)" : "Full screen (f)");
  }

  /** Shows the controls; they go when nothing happens and there is a picture to see. */
  #wake(ms = IDLE_MS): void {
    this.host.removeAttribute("data-idle");
    clearTimeout(this.#idleTimer);
    if (this.#state.kind !== "playing") return;
    this.#idleTimer = setTimeout(() => {
      const inUse = this.#quality.isOpen || this.#parts.querySelector(":focus-visible") !== null;
      if (!inUse) this.host.setAttribute("data-idle", "");
    }, ms);
  }

  #slider(): HTMLInputElement {
    return this.#parts.querySelector("input") as HTMLInputElement;
  }

  #part(name: string): HTMLElement {
    return this.#parts.querySelector(`.${name}`) as HTMLElement;
  }
}

type PhoneVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

function canFullscreen(host: HTMLElement, video: PhoneVideo): boolean {
  return (document.fullscreenEnabled && "requestFullscreen" in host) || "webkitEnterFullscreen" in video;
}

function toggleFullscreen(host: HTMLElement, video: PhoneVideo): void {
  if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
  else if (document.fullscreenEnabled) void host.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.();
}

function label(button: HTMLElement, drawing: Parameters<typeof icon>[0], words: string): void {
  if (button.title === words) return;
  button.innerHTML = icon(drawing);
  button.title = words;
  button.setAttribute("aria-label", words.replace(/ \(.\)$/, ""));
}

/** Writes only what has changed, so that a screen reader does not say it again. */
function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
