// Makes messages of headers and payloads: sealed where the stream is end-to-end encrypted, plain otherwise. The messages of a
// track keep their order.
import { encodeMediaMessage, type MediaHeader } from "../protocol/media_message";
import type { Sealer } from "../protocol/seal";

export class Wrapping {
  readonly #sealer: Sealer | null;
  readonly #failed: (sentence: string) => void;

  /** `failed`: nothing more may be sent, and why in words. */
  constructor(sealer: Sealer | null, failed: (sentence: string) => void) {
    this.#sealer = sealer;
    this.#failed = failed;
  }

  /** Hands the message to `send`, now or in a moment. */
  wrap(header: MediaHeader, payload: Uint8Array<ArrayBuffer>, send: (message: Uint8Array<ArrayBuffer>) => void): void {
    if (!this.#sealer) {
      send(encodeMediaMessage(header, payload));
      return;
    }
    const refused = () => this.#failed("The picture could not be encrypted, so the stream was ended.");
    try {
      this.#sealer.seal(header, payload).then(send, refused);
    } catch {
      // A number that came twice would betray what two payloads have in common.
      refused();
    }
  }
}
