// The directory as the pages know it: its calls, its list, its clock. All I/O is injected, so that the desktop app can carry it.
import { ApiFailure } from "../protocol/api_failure";
import type { ApiError } from "../protocol/generated/ApiError";
import type { Assignment } from "../protocol/generated/Assignment";
import type { AssignmentRequest } from "../protocol/generated/AssignmentRequest";
import type { CreatedStream } from "../protocol/generated/CreatedStream";
import type { CreateStream } from "../protocol/generated/CreateStream";
import type { DirectoryInfo } from "../protocol/generated/DirectoryInfo";
import type { Order } from "../protocol/generated/Order";
import type { RestoreStream } from "../protocol/generated/RestoreStream";
import type { ServerTime } from "../protocol/generated/ServerTime";
import type { StreamList } from "../protocol/generated/StreamList";
import type { WatchAnswer } from "../protocol/generated/WatchAnswer";
import type { WatchRequest } from "../protocol/generated/WatchRequest";
import { DirectoryClock } from "./clock";
import { readEvents } from "./event_stream";
import { type EventSourceLike, LiveList } from "./live_list";

/** A call that takes longer is worth a second try. */
const CALL_MS_MAX = 8000;

/** What lets a viewer in. */
export interface Credentials {
  ticket?: string;
  password?: string;
  /** The relay that did not serve, when one did not. */
  failed?: string;
}

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

  /** What to know before asking for more. */
  info(): Promise<DirectoryInfo> {
    return this.#call<DirectoryInfo>("GET", "/api/directory", {});
  }

  /** A new stream; `pass` where the directory asks for one. */
  create(request: CreateStream, pass = ""): Promise<CreatedStream> {
    return this.#call<CreatedStream>("POST", "/api/streams", { body: request, key: pass });
  }

  /** Where to send a stream after the relay `failed`. */
  assignment(id: string, key: string, failed: string | null): Promise<Assignment> {
    const body: AssignmentRequest = { failed };
    return this.#call<Assignment>("POST", `${streamPath(id)}/assignment`, { body, key });
  }

  /** Brings a stream back that the directory has forgotten, with the newest record of it. */
  restore(key: string, record: string): Promise<Assignment> {
    const body: RestoreStream = { record };
    return this.#call<Assignment>("POST", "/api/streams/restore", { body, key });
  }

  /** Asks in as a viewer, with the stream's password where it has one; or renews a ticket. */
  watch(id: string, { ticket, password, failed }: Credentials = {}): Promise<WatchAnswer> {
    const wanted: WatchRequest = { password: password ?? null, failed: failed ?? null, region: null };
    const body = password === undefined && failed === undefined ? undefined : wanted;
    return this.#call<WatchAnswer>("POST", `${streamPath(id)}/watch`, { body, key: ticket });
  }

  /** Sends a viewer away for good. */
  async removeViewer(id: string, key: string, viewer: string): Promise<void> {
    await this.#call("DELETE", `${streamPath(id)}/viewers/${encodeURIComponent(viewer)}`, { key });
  }

  /**
   * What the directory wants of a broadcaster, from now on until the answer ends: calls `onOrder` with each. Resolves when the
   * directory ends it, rejects with `ApiFailure` when it refuses or breaks off.
   */
  async orders(id: string, key: string, onOrder: (order: Order) => void, signal: AbortSignal): Promise<void> {
    const url = `${this.base}${streamPath(id)}/orders`;
    const headers = { accept: "text/event-stream", authorization: `Bearer ${key}` };
    await readEvents((signal) => this.#fetch(url, { headers, cache: "no-store", signal }), onOrder, signal);
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
    { body, key, keepalive }: { body?: unknown; key?: string | undefined; keepalive?: boolean },
  ): Promise<T> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (key) headers.authorization = `Bearer ${key}`;
    const init: RequestInit = { method, headers, cache: "no-store", signal: AbortSignal.timeout(CALL_MS_MAX) };
    if (body !== undefined) init.body = JSON.stringify(body);
    if (keepalive) init.keepalive = true;
    const response = await this.#fetch(this.base + path, init);
    return (await response.json().catch(() => undefined)) as T;
  }

  /** An answer that is a success; rejects with `ApiFailure` otherwise. */
  async #fetch(url: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await this.#options.fetch(url, init);
    } catch {
      throw new ApiFailure("unreachable", "The directory can't be reached.");
    }
    if (response.ok) return response;
    const error = (await response.json().catch(() => undefined)) as Partial<ApiError> | undefined;
    // An answer that is not the directory's own comes from something in front of it.
    if (!error?.code) throw new ApiFailure("unreachable", `The directory can't be reached (${response.status}).`);
    throw new ApiFailure(error.code, error.message ?? error.code, retryAfterMs(response));
  }
}

/** How long to wait, where the answer says so in seconds (RFC 9110 10.2.3). */
function retryAfterMs(response: Response): number | null {
  const seconds = response.headers.get("retry-after") ?? "";
  return /^\d{1,5}$/.test(seconds) ? Number(seconds) * 1000 : null;
}

function streamPath(id: string): string {
  return `/api/streams/${encodeURIComponent(id)}`;
}
