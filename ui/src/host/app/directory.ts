// The directory's calls and events, carried by the app's process: a webview may refuse plain http to a machine of the local
// network as mixed content.
import { Channel } from "@tauri-apps/api/core";
import type { EventSourceLike } from "../../directory/live_list";
import type { DirectoryAnswer } from "../../protocol/generated/DirectoryAnswer";
import type { DirectoryCall } from "../../protocol/generated/DirectoryCall";
import type { ListEvent } from "../../protocol/generated/ListEvent";
import { call } from "./call";

/** A `fetch` for the directory at `base` alone. Rejects, as `fetch` does, when no answer comes. */
export function directoryFetch(base: string): typeof fetch {
  return async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    const request: DirectoryCall = {
      method: init?.method ?? "GET",
      path: url.startsWith(base) ? url.slice(base.length) : url,
      body: typeof init?.body === "string" ? init.body : null,
      authorization: headers.get("authorization"),
    };
    const { status, body, retry_after_s } = await call<DirectoryAnswer>("call_directory", { call: request });
    // A Response with one of these statuses must not have a body, not even an empty one.
    const bare = status === 204 || status === 205 || status === 304;
    const answered = new Headers({ "content-type": "application/json" });
    if (retry_after_s !== null) answered.set("retry-after", String(retry_after_s));
    return new Response(bare ? null : body, { status, headers: answered });
  };
}

/** The directory's list of streams as it changes. The app knows the address. */
export function openDirectoryEvents(): EventSourceLike {
  const channel = new Channel<ListEvent>();
  const events: EventSourceLike = {
    onmessage: null,
    onerror: null,
    close() {
      closed = true;
      void call("unsubscribe", { channel: channel.id });
    },
  };
  let closed = false;
  channel.onmessage = (event) => {
    if (!closed) events.onmessage?.({ data: JSON.stringify(event) });
  };
  const over = () => {
    if (!closed) events.onerror?.();
  };
  call("list_events", { channel }).then(over, over);
  return events;
}
