// What a connection travels by, as people may look it up.
import type { TransportKind } from "../transport/transport";

const WORDS: Record<TransportKind, string> = {
  websocket: "WebSocket",
  webtransport: "WebTransport",
  app: "WebSocket, through the app",
};

export function transportInWords(kind: TransportKind): string {
  return WORDS[kind];
}
