// Which way media come into the window: straight from the relay, or, where a webview may refuse that as mixed content, through
// the app's process.

import { isLoopback } from "../../secure_address";
import type { OpenTransport } from "../../transport/transport";
import { openWebSocket } from "../../transport/websocket";
import { openCarried } from "./carried";

/** Set in `localStorage` (to anything), it makes every connection go through the app's process. */
export const CARRY_ALWAYS_KEY = "dead-streaming.carry-always";

/** Whether a webview may refuse this address: plain, and not on this machine. */
export function needsCarrying(url: string): boolean {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  return address?.protocol === "ws:" && !isLoopback(address.hostname);
}

export const openNearest: OpenTransport = (relay, signal) => {
  const carried = needsCarrying(relay.url) || localStorage.getItem(CARRY_ALWAYS_KEY) !== null;
  return carried ? openCarried(relay, signal) : openWebSocket(relay, signal);
};
