// The host of a page in an ordinary browser: the directory is where the page comes from.
import { Directory } from "../directory/directory";
import type { EventSourceLike } from "../directory/live_list";
import { openFrom } from "../transport/page";
import { openWebSocket } from "../transport/websocket";
import type { Host } from "./host";

export function browserHost(): Host {
  const directory = new Directory({
    base: "",
    fetch: (input, init) => fetch(input, init),
    openEvents: (url) => openEventSource(url),
  });
  return {
    kind: "browser",
    directory,
    openTransport: openFrom(openWebSocket),
    watchLink: (id) => `${location.origin}/view/${id}`,
    copy: copyText,
    pass: { known: async () => recallPass() !== "", keep: async (pass) => rememberPass(pass), text: recallPass },
  };
}

/** Where this browser keeps the pass. Pages of other servers can't read it. */
const PASS_NAME = "dead-streaming.pass";

function recallPass(): string {
  try {
    return localStorage.getItem(PASS_NAME) ?? "";
  } catch {
    // Storage is closed to this page: the person types it again.
    return "";
  }
}

function rememberPass(pass: string): void {
  try {
    localStorage.setItem(PASS_NAME, pass);
  } catch {
    // As above.
  }
}

function openEventSource(url: string): EventSourceLike {
  const source = new EventSource(url);
  const events: EventSourceLike = { onmessage: null, onerror: null, close: () => source.close() };
  source.onmessage = (event: MessageEvent<string>) => events.onmessage?.(event);
  source.onerror = () => events.onerror?.();
  return events;
}

/** Pages over plain http have no clipboard; a selected field and the old command still work there. */
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.setAttribute("readonly", "");
  field.style.position = "fixed";
  field.style.opacity = "0";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("The browser does not let this page copy. Select the link and copy it yourself.");
}
