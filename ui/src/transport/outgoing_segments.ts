// Sends segments, each on a stream of its own behind its init segment. Which go first where not all can go is the browser's work
// (`sendOrder`); what is left out or given up is decided where chunks come from.

import { framed } from "../protocol/framing";
import { streamError } from "./stream_error";
import type { MediaOut, OutgoingChunk } from "./transport";

/** More segments than a session ever has: urgency counts before age. */
const URGENCY_STEP = 2 ** 40;

/** Opens a stream; streams of a higher order are sent first. */
type OpenStream = (order: number) => Promise<WritableStream<Uint8Array>>;

export class OutgoingSegments implements MediaOut {
  readonly givesUp = true;
  unsentBytes = 0;
  onlost: ((track: number) => void) | null = null;
  /** By track, oldest first: the last one may get more, those before it are on their way. */
  readonly #tracks = new Map<number, OutgoingSegment[]>();
  #begun = 0;

  constructor(private readonly openStream: OpenStream) {}

  send(chunk: OutgoingChunk, message: Uint8Array<ArrayBuffer>, init: Uint8Array<ArrayBuffer>): boolean {
    if (chunk.key) this.#begin(chunk, init);
    const segment = this.#tracks.get(chunk.track)?.at(-1);
    if (!segment?.isOpen) return false;
    segment.write(message);
    return true;
  }

  giveUp(track: number): void {
    for (const segment of this.#tracks.get(track) ?? []) segment.giveUp();
    this.#tracks.delete(track);
  }

  #begin({ track, urgency }: OutgoingChunk, init: Uint8Array<ArrayBuffer>): void {
    const segments = this.#tracks.get(track) ?? [];
    segments.at(-1)?.finish();
    const order = urgency * URGENCY_STEP + this.#begun++;
    const segment: OutgoingSegment = new OutgoingSegment(this.openStream(order), {
      unsent: (bytes) => {
        this.unsentBytes += bytes;
      },
      over: (isWhole) => {
        const left = this.#tracks.get(track)?.filter((each) => each !== segment) ?? [];
        this.#tracks.set(track, left);
        if (!isWhole) this.onlost?.(track);
      },
    });
    this.#tracks.set(track, [...segments, segment]);
    segment.write(init);
  }
}

interface SegmentEvents {
  /** So many bytes more, or fewer, wait in the page. */
  unsent(bytes: number): void;
  /** It is on its way as a whole, or broken. Comes once, and not after it was given up. */
  over(isWhole: boolean): void;
}

class OutgoingSegment {
  isOpen = true;
  #isOver = false;
  readonly #writer: Promise<WritableStreamDefaultWriter<Uint8Array>>;

  constructor(
    stream: Promise<WritableStream<Uint8Array>>,
    private readonly events: SegmentEvents,
  ) {
    this.#writer = stream.then((writable) => writable.getWriter());
    this.#writer
      .then((writer) => writer.closed)
      .then(
        () => this.#over(true),
        () => this.#over(false),
      );
  }

  write(message: Uint8Array): void {
    const bytes = framed(message);
    this.events.unsent(bytes.length);
    this.#writer
      .then((writer) => writer.write(bytes))
      .catch(() => {})
      .finally(() => this.events.unsent(-bytes.length));
  }

  /** Nothing more is written. */
  finish(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#writer.then((writer) => writer.close()).catch(() => {});
  }

  giveUp(): void {
    this.isOpen = false;
    this.#isOver = true;
    this.#writer.then((writer) => writer.abort(streamError("skipped"))).catch(() => {});
  }

  #over(isWhole: boolean): void {
    this.isOpen = false;
    if (this.#isOver) return;
    this.#isOver = true;
    this.events.over(isWhole);
  }
}
