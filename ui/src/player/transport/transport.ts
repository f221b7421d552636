// What the player needs of a connection to a relay: ordered text and binary messages. The page uses a WebSocket; the desktop
// app may bring another that carries the bytes through its own process.

export interface Transport {
  onopen: (() => void) | null;
  onmessage: ((data: string | ArrayBuffer) => void) | null;
  /** Comes once, also when the connection could not be opened. Nothing comes after it. */
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

/** Begins to connect. When `signal` aborts, the transport closes. Handlers are set right after the call, before any event. */
export type OpenTransport = (url: string, signal: AbortSignal) => Transport;
