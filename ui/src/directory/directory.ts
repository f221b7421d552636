// The directory as the pages know it: its calls, its list, its clock. All I/O is injected, so that the desktop app can carry it.
import { ApiFailure } from "../protocol/api_failure";
import type { ApiError } from "../protocol/generated/ApiError";
import type { Assignment } from "../protocol/generated/Assignment";
import type { AssignmentRequest } from "../protocol/generated/AssignmentRequest";
import type { CreatedStream } from "../protocol/generated/CreatedStream";
import type { CreateStream } from "../protocol/generated/CreateStream";
import type { ServerTime } from "../protocol/generated/ServerTime";
import type { StreamList } from "../protocol/generated/StreamList";
import type { WatchAnswer } from "../protocol/generated/WatchAnswer";
import { DirectoryClock } from "./clock";
import { type EventSourceLike, LiveList } from "./live_list";

/** A call that takes longer is worth a second try. */
const CALL_MS_MAX = 8000;

export interface DirectoryOptions {
  /** Its address without a slash at the end; empty for "where this page comes from". */
  base: string;
  fetch: typeof fetch;
  /** Opens server-sent events. */
  openEvents: (url: string) => EventSourceLike;
}

export class Directory {
  readonly base: string;
  readonly clock: DirectoryClock;
  #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.base = options.base;
    this.#options = options;
    this.clock = new DirectoryClock(async () => (await this.time()).now_us / 1000);
  }

  create(request: CreateStream): Promise<CreatedStream> {
    return this.#call<CreatedStream>("POST", "/api/streams", { body: request });
  }

  /** Where to send a stream after the relay `failed`. */
  assignment(id: string, key: string, failed: string | null): Promise<Assignment> {
    const body: AssignmentRequest = { failed };
    return this.#call<Assignment>("POST", `${streamPath(id)}/assignment`, { body, key });
  }

  watch(id: string): Promise<WatchAnswer> {
    return this.#call<WatchAnswer>("POST", `${streamPath(id)}/watch`, {});
  }

  /** Ends a stream; also while the page is being closed. */
  async endStream(id: string, key: string): Promise<void> {
    await this.#call("DELETE", streamPath(id), { key, keepalive: true });
  }

  list(): Promise<StreamList> {
    return this.#call<StreamList>("GET", "/api/streams", {});
  }

  time(): Promise<ServerTime> {
    return this.#call<ServerTime>("GET", "/api/time", {});
  }

  /** The public list, kept up to date until it is closed. */
  openList(): LiveList {
    return new LiveList(() => this.#options.openEvents(`${this.base}/api/events`));
  }

  async #call<T>(
    method: string,
    path: string,
    { body, key, keepalive }: { body?: unknown; key?: string; keepalive?: boolean },
  ): Promise<T> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (key) headers.authorization = `Bearer ${key}`;
    const init: RequestInit = { method, headers, cache: "no-store", signal: AbortSignal.timeout(CALL_MS_MAX) };
    if (body !== undefined) init.body = JSON.stringify(body);
    if (keepalive) init.keepalive = true;
    let response: Response;
    try {
      response = await this.#options.fetch(this.base + path, init);
    } catch {
      throw new ApiFailure("unreachable", "The directory can't be reached.");
    }
    const answer = await response.json().catch(() => undefined);
    if (response.ok) return answer as T;
    const error = answer as Partial<ApiError> | undefined;
    // An answer that is not the directory's own comes from something in front of it.
    if (!error?.code) throw new ApiFailure("unreachable", `The directory can't be reached (${response.status}).`);
    throw new ApiFailure(error.code, error.message ?? error.code);
  }
}

function streamPath(id: string): string {
  return `/api/streams/${encodeURIComponent(id)}`;
}
