// What the rest of the page uses of the player. Importing it defines <live-player>.

import { LivePlayer } from "./live_player";

export type { ApiFailureCode } from "../protocol/api_failure";
export { ApiFailure } from "../protocol/api_failure";
export type { WatchAnswer } from "../protocol/messages";
export type { OpenTransport, Transport } from "../transport/transport";
export { openWebSocket } from "../transport/websocket";
export type { Credentials, WatchApi } from "./admission";
export type { StartOptions } from "./live_player";
export { rememberPassword } from "./password_memory";
export type { RenditionFacts } from "./renditions";
export type { Clock } from "./session";
export type { FailureCode, PlayerState } from "./state";
export type { PlayerStats } from "./stats";
export { LivePlayer };

declare global {
  interface HTMLElementTagNameMap {
    "live-player": LivePlayer;
  }
  interface HTMLElementEventMap {
    statechange: CustomEvent<import("./state").PlayerState>;
    stats: CustomEvent<import("./stats").PlayerStats>;
  }
}

if (!customElements.get("live-player")) customElements.define("live-player", LivePlayer);
