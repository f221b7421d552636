// How the player looks. Always dark, because it lies over a picture: it has the page's dark colours, whatever the page shows.

export const PLAYER_STYLES = `
:host {
  --player-accent: #ff5b4a;
  --player-accent-hover: #ff7769;
  --player-on-accent: #1d0502;
  --player-text: #f4f2ee;
  --player-soft: #b9bcc6;
  --player-focus: #8ab4ff;
  color-scheme: dark;
  position: relative;
  display: block;
  overflow: hidden;
  aspect-ratio: 16 / 9;
  container-type: size;
  background: #000;
  color: var(--player-text);
  font: 500 0.9375rem/1.3 var(--font, system-ui, sans-serif);
  -webkit-tap-highlight-color: transparent;
  user-select: none;
}
:host([hidden]) { display: none; }
:host(:fullscreen) { width: 100%; height: 100%; aspect-ratio: auto; border-radius: 0; }
:host(:focus-visible) { outline: 0.1875rem solid var(--player-focus); outline-offset: 0.1875rem; }
:host([data-idle]) { cursor: none; }
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
video { display: block; width: 100%; height: 100%; object-fit: contain; background: #000; }
svg { width: 1.5rem; height: 1.5rem; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
svg [fill] { stroke: none; }

button { font: inherit; color: inherit; background: none; border: 0; padding: 0; margin: 0; cursor: pointer; }
button:focus-visible, input:focus-visible { outline: 0.1875rem solid var(--player-focus); outline-offset: 0.125rem; }

.bar {
  position: absolute; inset: auto 0 0 0;
  display: flex; align-items: center; gap: 0.25rem;
  padding: 2.75rem 0.625rem 0.5rem;
  background: linear-gradient(to top, rgb(6 7 10 / 0.82), rgb(6 7 10 / 0.5) 45%, transparent);
  transition: opacity 180ms ease-out, transform 180ms ease-out;
}
:host([data-idle]) .bar { opacity: 0; transform: translateY(0.375rem); pointer-events: none; }
.bar button { display: grid; place-items: center; min-width: 2.5rem; height: 2.5rem; border-radius: 0.625rem; transition: background 120ms ease-out; }
.bar button:hover { background: rgb(255 255 255 / 0.14); }
.bar button:active { background: rgb(255 255 255 / 0.22); }
.space { flex: 1; min-width: 0; }

.volume { display: flex; align-items: center; }
.volume input {
  appearance: none; width: 0; height: 1.5rem; margin: 0; padding: 0; opacity: 0; background: none; cursor: pointer; border-radius: 0.375rem;
  transition: width 160ms ease-out, opacity 160ms ease-out, margin 160ms ease-out;
}
.volume:hover input, .volume:focus-within input { width: 5rem; opacity: 1; margin: 0 0.5rem 0 0.125rem; }
.volume input::-webkit-slider-runnable-track { height: 0.25rem; border-radius: 1rem; background: linear-gradient(to right, var(--player-text) var(--level, 100%), rgb(255 255 255 / 0.3) 0); }
.volume input::-webkit-slider-thumb { appearance: none; width: 0.875rem; height: 0.875rem; margin-top: -0.3125rem; border-radius: 50%; background: var(--player-text); }
.volume input::-moz-range-track { height: 0.25rem; border-radius: 1rem; background: rgb(255 255 255 / 0.3); }
.volume input::-moz-range-progress { height: 0.25rem; border-radius: 1rem; background: var(--player-text); }
.volume input::-moz-range-thumb { width: 0.875rem; height: 0.875rem; border: 0; border-radius: 50%; background: var(--player-text); }

.bar button.live { display: flex; align-items: center; gap: 0.4375rem; padding: 0 0.625rem; font-weight: 700; font-size: 0.8125rem; letter-spacing: 0.06em; }
.live .dot { width: 0.5625rem; height: 0.5625rem; border-radius: 50%; background: var(--player-soft); }
.live[data-on] .dot { background: var(--player-accent); animation: blink 2s step-end infinite; }
.live:not([data-on]) { color: var(--player-soft); }
.live .delay { font-weight: 500; letter-spacing: 0; font-variant-numeric: tabular-nums; color: var(--player-soft); min-width: 3.6em; text-align: start; }
/* In steps: a smooth one would paint sixty times a second over the picture. */
@keyframes blink { 50% { opacity: 0.35; } }

.facts { display: flex; align-items: center; gap: 0.875rem; padding-right: 0.5rem; color: var(--player-soft); font-size: 0.8125rem; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; }
.facts span { display: flex; align-items: center; gap: 0.3125rem; }
.facts svg { width: 1.0625rem; height: 1.0625rem; }

.quality { position: relative; }
.quality[data-reduced] .open { color: var(--player-accent); }
.quality .menu {
  position: absolute; right: 0; bottom: calc(100% + 0.375rem); display: grid; min-width: 13rem; max-width: min(20rem, 100cqi - 1rem);
  max-height: calc(100cqb - 4.25rem); overflow-y: auto; padding: 0.375rem; border-radius: 0.75rem; background: rgb(16 18 24 / 0.96); box-shadow: 0 0.5rem 1.5rem rgb(0 0 0 / 0.5);
}
.bar .menu button {
  display: grid; grid-template-columns: 1.125rem 1fr; justify-items: start; align-content: center; gap: 0 0.375rem; min-height: 2.5rem; height: auto; padding: 0.375rem 0.75rem 0.375rem 0.5rem;
  border-radius: 0.5rem; font-size: 0.875rem; font-variant-numeric: tabular-nums; text-align: start;
}
.menu button::before { content: ""; place-self: center; width: 0.5rem; height: 0.5rem; border-radius: 50%; }
.menu button[aria-checked="true"]::before { background: var(--player-accent); }
.menu .name { white-space: nowrap; }
.menu .hint { grid-column: 2; color: var(--player-soft); font-size: 0.75rem; }
.menu .hint:empty { display: none; }

.veil {
  position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 0.75rem; padding: 1rem 1.25rem 3.5rem;
  text-align: center; background: rgb(8 9 12 / 0.66); animation: appear 200ms ease-out 250ms backwards;
}
.veil[data-shape="none"] { display: none; }
.veil[data-shape="pill"] {
  inset: 0.75rem auto auto 50%; translate: -50% 0; display: flex; align-items: center; gap: 0.5rem; padding: 0.4375rem 0.875rem 0.4375rem 0.625rem;
  border-radius: 2rem; background: rgb(8 9 12 / 0.78); animation-delay: 600ms; max-width: calc(100% - 1.5rem);
}
.veil .title { margin: 0; font-size: clamp(1rem, 0.8rem + 1.6cqi, 1.5rem); font-weight: 650; line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
.veil .detail { margin: 0; max-width: 46ch; color: var(--player-soft); text-wrap: balance; overflow-wrap: anywhere; }
.veil[data-shape="pill"] .title { font-size: 0.875rem; font-weight: 550; }
.veil[data-shape="pill"] .detail, .detail:empty { display: none; }
.words { display: grid; gap: 0.375rem; justify-items: center; }
@keyframes appear { from { opacity: 0; } }

.spinner { width: 2.25rem; height: 2.25rem; border-radius: 50%; border: 0.1875rem solid rgb(255 255 255 / 0.2); border-top-color: var(--player-accent); animation: turn 900ms linear infinite; }
.veil[data-shape="pill"] .spinner { width: 1rem; height: 1rem; border-width: 0.125rem; flex: none; }
@keyframes turn { to { rotate: 1turn; } }

.action { min-height: 2.75rem; padding: 0.5rem 1.375rem; border-radius: 2rem; background: var(--player-accent); color: var(--player-on-accent); font-weight: 700; }
.action:hover { background: var(--player-accent-hover); }
.action[data-action="play"] { width: 4.5rem; height: 4.5rem; padding: 0; display: grid; place-items: center; }
.action[data-action="play"] svg { width: 2.25rem; height: 2.25rem; }

/* Nothing plays that could be controlled: the words have the room, and what the page has behind the player shows through. */
:host(:is([data-state="needs_password"], [data-state="locked"])) { background: transparent; }
:host(:is([data-state="needs_password"], [data-state="locked"])) :is(video, .bar) { visibility: hidden; }
:host(:is([data-state="needs_password"], [data-state="locked"])) .veil { padding-bottom: 1rem; background: rgb(8 9 12 / 0.78); animation-delay: 0ms; }
.password { display: flex; flex-wrap: wrap; justify-content: center; gap: 0.5rem; width: min(24rem, 100%); margin-top: 0.25rem; }
.password input {
  flex: 1 1 10rem; min-width: 0; height: 2.75rem; padding: 0 0.875rem; border: 1px solid rgb(255 255 255 / 0.42); border-radius: 0.5rem;
  background: rgb(8 9 12 / 0.7); color: var(--player-text); font: inherit; font-size: 1rem; user-select: text;
}
.password input::placeholder { color: var(--player-soft); }
.password button { min-height: 2.75rem; padding: 0 1.375rem; border-radius: 2rem; background: var(--player-accent); color: var(--player-on-accent); font-weight: 700; }
.password button:hover:not(:disabled) { background: var(--player-accent-hover); }
.password button:disabled { opacity: 0.5; cursor: not-allowed; }

.unmute {
  position: absolute; top: 0.75rem; left: 0.75rem; display: flex; align-items: center; gap: 0.5rem; min-height: 2.75rem; padding: 0 1rem 0 0.75rem;
  border-radius: 2rem; background: rgb(8 9 12 / 0.82); font-weight: 650; box-shadow: 0 0.25rem 1rem rgb(0 0 0 / 0.35);
}
.veil[data-shape="veil"] ~ .unmute { display: none; }
.unmute:hover { background: rgb(32 34 42 / 0.92); }

@container (max-width: 46rem) { .facts .picture { display: none; } }
@container (max-width: 30rem) {
  .bar { gap: 0; padding: 2rem 0.25rem 0.25rem; }
  .facts { display: none; }
  .veil[data-shape="pill"] ~ .unmute { top: 3.25rem; }
  .volume:hover input, .volume:focus-within input { width: 3.5rem; }
  .quality { position: static; }
  .quality .menu { right: 0.25rem; bottom: 2.875rem; min-width: 10rem; max-height: calc(100cqb - 3.125rem); padding: 0.25rem; }
  .bar .menu button { min-height: 1.875rem; padding-block: 0.125rem; }
  .menu .hint { display: none; }
  .veil { gap: 0.5rem; padding: 0.75rem 0.875rem 2.75rem; }
  .veil .detail { font-size: 0.8125rem; }
  .action[data-action="play"] { width: 3.5rem; height: 3.5rem; }
}
@container (max-width: 22rem) { .live .delay { min-width: 0; } .bar:has(.quality:not([hidden])) .delay { display: none; } .bar button { min-width: 2.25rem; } .bar button.live { padding: 0 0.375rem; } }
@media (hover: none) { .volume input { display: none; } }
@media (prefers-reduced-motion: reduce) {
  .bar, .bar button, .volume input { transition: none; }
  .live .dot, .veil { animation: none !important; }
  .spinner { animation-duration: 4s; }
}
`;
