// The transport that goes everywhere: one WebSocket.

import { SocketMedia } from "./socket_media";
import type { OpenTransport, Transport } from "./transport";

export const openWebSocket: OpenTransport = ({ url }, signal) => {
  const transport: Transport & { mediaOut: SocketMedia | null } = {
    kind: "websocket",
    onopen: null,
    onmessage: null,
    onclose: null,
    send: () => {},
    close: () => {},
    mediaOut: null,
  };
  let socket: WebSocket;
  try {
    socket = new WebSocket(url);
  } catch {
    // An address the browser refuses outright (bad URL, mixed content) is like one where nobody answers.
    queueMicrotask(() => transport.onclose?.());
    return transport;
  }
  socket.binaryType = "arraybuffer";
  const events = new AbortController();
  const closed = () => {
    events.abort();
    signal.removeEventListener("abort", close);
    transport.mediaOut = null;
    transport.onclose?.();
  };
  const close = () => {
    if (events.signal.aborted) return;
    // A closing handshake with a dead peer may take a minute; nobody here waits for it.
    socket.close(1000);
    closed();
  };
  const during = { signal: events.signal };
  const open = () => {
    transport.mediaOut = new SocketMedia(
      (message) => socket.send(message),
      () => socket.bufferedAmount,
    );
    transport.onopen?.();
  };
  socket.addEventListener("open", open, during);
  socket.addEventListener("message", (event) => transport.onmessage?.(event.data), during);
  socket.addEventListener("close", closed, during);
  transport.send = (text) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
  };
  transport.close = close;
  if (signal.aborted) queueMicrotask(close);
  else signal.addEventListener("abort", close, { once: true });
  return transport;
};
