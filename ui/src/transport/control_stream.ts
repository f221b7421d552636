// The stream of control messages of a WebTransport session: text both ways, one message after the other.

import { FrameReader, framed } from "../protocol/framing";
import { CONTROL_BYTES_MAX } from "../protocol/limits";

export interface ControlEvents {
  text(text: string): void;
  /** The relay says no more. Comes once. */
  over(): void;
}

export class ControlStream {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor({ readable, writable }: { readable: ReadableStream; writable: WritableStream }, events: ControlEvents) {
    this.#writer = writable.getWriter();
    // How it ends is told by its other half.
    this.#writer.closed.catch(() => {});
    void read(readable, events);
  }

  send(text: string): void {
    this.#writer.write(framed(new TextEncoder().encode(text))).catch(() => {});
  }

  /** Resolves when what was sent has left. */
  async finish(): Promise<void> {
    await this.#writer.close().catch(() => {});
  }
}

async function read(readable: ReadableStream<Uint8Array<ArrayBuffer>>, events: ControlEvents): Promise<void> {
  const frames = new FrameReader(CONTROL_BYTES_MAX);
  const decoder = new TextDecoder();
  const reader = readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const read = done ? null : frames.push(value);
      if (!read?.ok) break;
      for (const message of read.messages) events.text(decoder.decode(message));
    }
    reader.cancel().catch(() => {});
  } catch {
    // Broken off is over, too.
  }
  events.over();
}
