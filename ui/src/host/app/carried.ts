// A connection to a relay that the app's process makes and carries. It leaves out what this page is too slow for, and tells it
// as a relay does, with `skipped`.
import { Channel } from "@tauri-apps/api/core";
import type { MediaEvent } from "../../protocol/generated/MediaEvent";
import type { OpenTransport, Transport } from "../../transport/transport";
import { messagesOf } from "./batch";
import { call } from "./call";

/** The app's process counts on an acknowledgement this often. */
const ACKNOWLEDGE_EVERY = 8;

export const openCarried: OpenTransport = ({ url }, signal) => {
  const channel = new Channel<MediaEvent | ArrayBuffer>();
  const transport: Transport = {
    kind: "app",
    onopen: null,
    onmessage: null,
    onclose: null,
    send,
    close,
    mediaOut: null,
  };
  let closed = false;
  let taken = 0;

  function send(text: string): void {
    if (!closed) void call("send_media", { channel: channel.id, text });
  }
  function close(): void {
    if (closed) return;
    void call("unsubscribe", { channel: channel.id });
    over();
  }
  function over(): void {
    if (closed) return;
    closed = true;
    signal.removeEventListener("abort", close);
    transport.onclose?.();
  }

  channel.onmessage = (message) => {
    if (closed) return;
    taken += 1;
    if (taken % ACKNOWLEDGE_EVERY === 0) void call("acknowledge_media", { channel: channel.id, messages: taken });
    if (message instanceof ArrayBuffer) {
      for (const each of messagesOf(message)) if (!closed) transport.onmessage?.(each);
    } else if (message.type === "open") transport.onopen?.();
    else over();
  };
  if (signal.aborted) {
    queueMicrotask(over);
    return transport;
  }
  signal.addEventListener("abort", close, { once: true });
  // Its success says nothing: the end comes through the channel, behind the last message.
  call("open_media", { url, channel }).catch(over);
  return transport;
};
