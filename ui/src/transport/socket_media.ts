// Media on a connection whose messages stay in order: an init segment goes before the first chunk that needs it, and what was sent
// can't be given up.

import type { MediaOut, OutgoingChunk, SegmentTag } from "./transport";

export class SocketMedia implements MediaOut {
  onbroken = null;
  /** The init segment that the relay has, by track. */
  readonly #inits = new Map<number, Uint8Array<ArrayBuffer>>();
  /** All that is sent is one queue. */
  readonly #tag: SegmentTag = {};

  constructor(
    private readonly out: (message: Uint8Array<ArrayBuffer>) => void,
    private readonly unsent: () => number,
  ) {}

  get unsentBytes(): number {
    return this.unsent();
  }

  send({ track }: OutgoingChunk, message: Uint8Array<ArrayBuffer>, init: Uint8Array<ArrayBuffer>): SegmentTag {
    if (this.#inits.get(track) !== init) {
      this.#inits.set(track, init);
      this.out(init);
    }
    this.out(message);
    return this.#tag;
  }

  giveUp(): SegmentTag[] {
    return [];
  }
}
