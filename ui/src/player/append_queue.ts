// Feeds one SourceBuffer, which takes one operation at a time: everything that came meanwhile goes in with the next append.

/** Media that may wait for an append: many seconds of picture. Past it, the newest segment matters more than the old ones. */
export const PENDING_BYTES_MAX = 24 * 1024 * 1024;
/** Times in a row that giving up the older half may fail to make room. */
const REFUSALS_MAX = 6;

export interface AppendEvents {
  /** Something was appended or removed. */
  changed(): void;
  /** What waited was thrown away: append a key chunk next. */
  overflowed(): void;
  /** The SourceBuffer is of no more use. */
  failed(error: unknown): void;
}

export class AppendQueue {
  #pending: Uint8Array[] = [];
  #bytes = 0;
  #removeUntil = 0;
  #closed = false;
  #refusals = 0;

  constructor(
    private readonly buffer: SourceBuffer,
    private readonly events: AppendEvents,
    signal: AbortSignal,
  ) {
    buffer.addEventListener("updateend", () => this.#ready(), { signal });
    buffer.addEventListener("error", () => this.#fail(new Error("the media could not be read")), { signal });
    signal.addEventListener("abort", () => {
      this.#closed = true;
      this.#pending = [];
    });
  }

  append(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#bytes + bytes.length > PENDING_BYTES_MAX) {
      this.#pending = [];
      this.#bytes = 0;
      this.events.overflowed();
      return;
    }
    this.#pending.push(bytes);
    this.#bytes += bytes.length;
    this.#pump();
  }

  /** Forgets what is before `time` (seconds) when the buffer is next free. */
  removeBefore(time: number): void {
    this.#removeUntil = Math.max(this.#removeUntil, time);
    this.#pump();
  }

  #ready(): void {
    if (this.#closed) return;
    this.events.changed();
    this.#pump();
  }

  #pump(): void {
    if (this.#closed || this.buffer.updating) return;
    try {
      if (this.#removeUntil > 0) {
        const until = this.#removeUntil;
        this.#removeUntil = 0;
        this.buffer.remove(0, until);
        return;
      }
      if (this.#pending.length === 0) return;
      this.buffer.appendBuffer(joined(this.#pending, this.#bytes));
      this.#pending = [];
      this.#bytes = 0;
      this.#refusals = 0;
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") this.#makeRoom();
      else this.#fail(error);
    }
  }

  /** The browser's own limit: give up the older half of what is buffered, then try again. */
  #makeRoom(): void {
    const { buffered } = this.buffer;
    this.#refusals += 1;
    if (buffered.length === 0 || this.#refusals > REFUSALS_MAX) {
      this.#fail(new Error("the browser has no room for media"));
      return;
    }
    const start = buffered.start(0);
    const end = buffered.end(buffered.length - 1);
    try {
      this.buffer.remove(0, start + (end - start) / 2);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.events.failed(error);
  }
}

function joined(parts: Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const only = parts[0];
  if (parts.length === 1 && only) return only as Uint8Array<ArrayBuffer>;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
