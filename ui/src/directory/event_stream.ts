// Server-sent events over `fetch`, for streams that want an Authorization header, which an EventSource can't carry.

import { ApiFailure } from "../protocol/api_failure";

/** Servers show that they live every 10 s; two lost signs and some delay mean that the connection is dead. */
export const EVENTS_SILENCE_MS_MAX = 25_000;
/** Longest event that is read, in characters; more is no event of ours. */
const EVENT_CHARS_MAX = 64 * 1024;

/** Takes the text of an event stream piece by piece and gives the data of its events (WHATWG HTML 9.2.6). Pure. */
export class EventParser {
  #rest = "";
  #data: string[] = [];

  /** The data of the events that this piece completes. */
  take(piece: string): string[] {
    const events: string[] = [];
    // A line may end in CR LF; a lone CR at the end of a piece is the beginning of one.
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) this.#data.push(line.slice(5).replace(/^ /, ""));
    }
    if (this.#rest.length + this.#data.join("").length > EVENT_CHARS_MAX) throw new Error("an event without an end");
    return events;
  }
}

/**
 * Calls `onEvent` with the JSON of each event. Resolves when the answer ends or `signal` aborts; rejects with `ApiFailure` when it
 * breaks off, falls silent, or never comes.
 */
export async function readEvents<T>(
  open: (signal: AbortSignal) => Promise<Response>,
  onEvent: (event: T) => void,
  signal: AbortSignal,
): Promise<void> {
  const silent = new AbortController();
  let watchdog = setTimeout(() => silent.abort(), EVENTS_SILENCE_MS_MAX);
  try {
    const response = await open(AbortSignal.any([signal, silent.signal]));
    const reader = response.body?.getReader();
    if (!reader) return;
    const parser = new EventParser();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => silent.abort(), EVENTS_SILENCE_MS_MAX);
      for (const data of parser.take(decoder.decode(value, { stream: true }))) onEvent(JSON.parse(data) as T);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof ApiFailure) throw error;
    throw new ApiFailure("unreachable", "The directory's answer broke off.");
  } finally {
    clearTimeout(watchdog);
  }
}
