// Messages on a stream of bytes: each is its length, four bytes big endian, and its bytes. So travel control messages (JSON) on the
// control stream of a WebTransport session, and media messages on the stream of one segment.

export const FRAME_HEAD_BYTES = 4;

/** Room is made at most for so many bytes that are only promised; it doubles as they come. */
const ROOM_BYTES_MAX = 64 * 1024;

export type FrameError = "too_large" | "empty" | "cut";
export type Frames = { ok: true; messages: Uint8Array<ArrayBuffer>[] } | { ok: false; error: FrameError };

/** A whole frame around `message`. */
export function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(0, message.length);
  bytes.set(message, FRAME_HEAD_BYTES);
  return bytes;
}

/** Takes a stream of bytes apart into messages. After an error it is of no more use. */
export class FrameReader {
  readonly #messageBytesMax: number;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headLength = 0;
  #body = new Uint8Array(0);
  #bodyLength = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** The messages that `piece` completes. Those that lie whole in it are views of it, not copies. */
  push(piece: Uint8Array<ArrayBuffer>): Frames {
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    for (;;) {
      while (this.#headLength < FRAME_HEAD_BYTES && at < piece.length) {
        this.#head[this.#headLength++] = piece[at++] ?? 0;
      }
      if (this.#headLength < FRAME_HEAD_BYTES) return { ok: true, messages };
      const length = new DataView(this.#head.buffer).getUint32(0);
      if (length === 0) return { ok: false, error: "empty" };
      if (length > this.#messageBytesMax) return { ok: false, error: "too_large" };
      if (this.#bodyLength === 0 && piece.length - at >= length) {
        messages.push(piece.subarray(at, at + length));
        at += length;
      } else {
        const taken = piece.subarray(at, at + Math.min(length - this.#bodyLength, piece.length - at));
        this.#keep(taken, length);
        at += taken.length;
        if (this.#bodyLength < length) return { ok: true, messages };
        messages.push(this.#body.subarray(0, length));
        this.#body = new Uint8Array(0);
        this.#bodyLength = 0;
      }
      this.#headLength = 0;
    }
  }

  /** The stream has ended: what that was within, if it was within something. */
  end(): FrameError | null {
    return this.#headLength === 0 ? null : "cut";
  }

  #keep(taken: Uint8Array, length: number): void {
    const needed = this.#bodyLength + taken.length;
    if (needed > this.#body.length) {
      const room = Math.min(length, Math.max(needed, this.#body.length * 2, ROOM_BYTES_MAX));
      const larger = new Uint8Array(room);
      larger.set(this.#body.subarray(0, this.#bodyLength));
      this.#body = larger;
    }
    this.#body.set(taken, this.#bodyLength);
    this.#bodyLength = needed;
  }
}
