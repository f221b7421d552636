// The list of live streams, kept up to date by the directory's events, with reconnects. Pure but for the timer and the source.
import type { ListEvent } from "../protocol/generated/ListEvent";
import type { StreamSummary } from "../protocol/generated/StreamSummary";

/** The first wait after a broken connection: a directory that restarts is back within a second or two. */
const RETRY_MS_MIN = 1000;
/** The longest wait: nobody wants to look at an old list for longer. */
const RETRY_MS_MAX = 8000;

/** What is used of an EventSource. */
export interface EventSourceLike {
  onmessage: ((event: { data: string }) => void) | null;
  onerror: (() => void) | null;
  close(): void;
}

export type ListState =
  /** Nothing is known yet. */
  | { kind: "loading" }
  /** As the directory has it. */
  | { kind: "current"; streams: StreamSummary[] }
  /** The directory can't be reached and is being tried again; `streams` is what was known last. */
  | { kind: "unreachable"; streams: StreamSummary[] | undefined };

/** The list after one event. */
export function applied(streams: readonly StreamSummary[], event: ListEvent): StreamSummary[] {
  switch (event.type) {
    case "streams":
      return event.streams;
    case "stream_changed": {
      const known = streams.some((stream) => stream.id === event.stream.id);
      if (known) return streams.map((stream) => (stream.id === event.stream.id ? event.stream : stream));
      return [...streams, event.stream];
    }
    case "stream_removed":
      return streams.filter((stream) => stream.id !== event.id);
    default:
      return [...streams]; // an event of a newer directory
  }
}

export class LiveList {
  #open: () => EventSourceLike;
  #source: EventSourceLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS_MIN;
  #listeners = new Set<(state: ListState) => void>();
  #state: ListState = { kind: "loading" };

  constructor(open: () => EventSourceLike) {
    this.#open = open;
    this.#connect();
  }

  get state(): ListState {
    return this.#state;
  }

  /** Calls `listener` now and with each change; answers a function that ends it. */
  subscribe(listener: (state: ListState) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#state);
    return () => this.#listeners.delete(listener);
  }

  /** Tries again at once, for people who don't want to wait. */
  retry(): void {
    if (this.#state.kind !== "current") this.#connect();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
    this.#listeners.clear();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = this.#open();
    this.#source = source;
    source.onmessage = ({ data }) => this.#take(data);
    source.onerror = () => {
      // A browser's own reconnect gives up on an answer that is not 200, and does not say so.
      if (this.#source !== source) return;
      source.close();
      this.#source = undefined;
      this.#set({ kind: "unreachable", streams: this.#streams() });
      this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    };
  }

  #take(data: string): void {
    let event: ListEvent;
    try {
      event = JSON.parse(data) as ListEvent;
    } catch {
      return;
    }
    // After a reconnect the directory begins with the whole list.
    if (event.type !== "streams" && this.#state.kind !== "current") return;
    this.#retryMs = RETRY_MS_MIN;
    this.#set({ kind: "current", streams: applied(this.#streams() ?? [], event) });
  }

  #streams(): StreamSummary[] | undefined {
    return this.#state.kind === "loading" ? undefined : this.#state.streams;
  }

  #set(state: ListState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
