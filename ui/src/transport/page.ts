// The way from this page to relays.

import type { RelayAddress } from "../protocol/messages";
import { fastest } from "./fastest";
import { KnownWays } from "./known_ways";
import { onNetworkChange } from "./network_change";
import type { OpenTransport } from "./transport";
import { openWebTransport } from "./webtransport";

/** What this page has learned of its network. */
const known = new KnownWays();
let isWatching = false;

/** Opens WebTransport where it can be had, else or meanwhile `websocket`. */
export function openFrom(websocket: OpenTransport): OpenTransport {
  if (!isWatching) onNetworkChange(() => known.forget(), new AbortController().signal);
  isWatching = true;
  return fastest({ websocket, webtransport: openWebTransport, canWebTransport, known });
}

function canWebTransport({ webtransport }: RelayAddress): boolean {
  return Boolean(webtransport) && typeof WebTransport === "function" && !isIos(navigator);
}

/** Whether this is iOS or iPadOS, whose WebTransport is not to be relied on. iPads call themselves Macs, which have no touch screen. */
export function isIos({ userAgent, maxTouchPoints }: Pick<Navigator, "userAgent" | "maxTouchPoints">): boolean {
  return /\b(iPhone|iPad|iPod)\b/.test(userAgent) || (/\bMacintosh\b/.test(userAgent) && maxTouchPoints > 1);
}
