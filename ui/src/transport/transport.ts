// What the pages need of a connection to a relay: ordered text and binary messages in, text and media out. It travels by WebSocket,
// by WebTransport, or through the desktop app's own process.

import type { RelayAddress } from "../protocol/messages";

export type TransportKind = "websocket" | "webtransport" | "app";

export interface Transport {
  /** What it travels by; null as long as that is open. */
  readonly kind: TransportKind | null;
  onopen: (() => void) | null;
  onmessage: ((data: string | ArrayBuffer | Uint8Array<ArrayBuffer>) => void) | null;
  /** Comes once, also when the connection could not be opened. Nothing comes after it. */
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
  /** Sends media; null before the connection is open, and where only viewers connect. */
  readonly mediaOut: MediaOut | null;
}

/** Begins to connect. When `signal` aborts, the transport closes. Handlers are set right after the call, before any event. */
export type OpenTransport = (relay: RelayAddress, signal: AbortSignal) => Transport;

/** Which chunk it is, as far as sending goes. */
export interface OutgoingChunk {
  track: number;
  /** Opens a segment. */
  key: boolean;
  /** What goes first where not all can go: higher before lower. */
  urgency: number;
}

/** Sends the chunks of tracks, each segment behind its track's init segment. */
export interface MediaOut {
  /** Bytes that were handed over and have not left the page. */
  readonly unsentBytes: number;
  /** Whether what is on its way can be given up, by either end: not all that is sent arrives. */
  readonly givesUp: boolean;
  /** The relay does not want a segment of this track any more, or can't get it. */
  onlost: ((track: number) => void) | null;
  /** Sends a chunk; false when its segment is lost, or was never begun. */
  send(chunk: OutgoingChunk, message: Uint8Array<ArrayBuffer>, init: Uint8Array<ArrayBuffer>): boolean;
  /** Gives up what is on its way of this track, where that is possible. */
  giveUp(track: number): void;
}
