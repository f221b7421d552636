// Which way media come into the window: straight from the relay, or, where a webview may refuse that as mixed content, through
// the app's process.
import type { OpenTransport } from "../../player/transport/transport";
import { openWebSocket } from "../../player/transport/websocket";
import { isLoopback } from "../../secure_address";
import { openCarried } from "./carried";

/** Set in `localStorage` (to anything), it makes every connection go through the app's process. */
export const CARRY_ALWAYS_KEY = "dead-streaming.carry-always";

/** Whether a webview may refuse this address: plain, and not on this machine. */
export function needsCarrying(url: string): boolean {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  return address?.protocol === "ws:" && !isLoopback(address.hostname);
}

export const openNearest: OpenTransport = (url, signal) => {
  const carried = needsCarrying(url) || localStorage.getItem(CARRY_ALWAYS_KEY) !== null;
  return carried ? openCarried(url, signal) : openWebSocket(url, signal);
};
