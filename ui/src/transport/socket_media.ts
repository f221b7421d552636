// Media on a connection whose messages stay in order: an init segment goes before the first chunk that needs it, and what was sent
// can't be given up.

import type { MediaOut, OutgoingChunk } from "./transport";

export class SocketMedia implements MediaOut {
  readonly givesUp = false;
  onlost = null;
  /** The init segment that the relay has, by track. */
  readonly #inits = new Map<number, Uint8Array<ArrayBuffer>>();

  constructor(
    private readonly out: (message: Uint8Array<ArrayBuffer>) => void,
    private readonly unsent: () => number,
  ) {}

  get unsentBytes(): number {
    return this.unsent();
  }

  send({ track }: OutgoingChunk, message: Uint8Array<ArrayBuffer>, init: Uint8Array<ArrayBuffer>): boolean {
    if (this.#inits.get(track) !== init) {
      this.#inits.set(track, init);
      this.out(init);
    }
    this.out(message);
    return true;
  }

  giveUp(): void {}
}
