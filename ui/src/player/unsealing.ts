// Between connection and playback: opens what is end-to-end encrypted, passes on what is not and need not be, and says why when
// nothing can be shown. A stream that should be encrypted is never shown when it is not.

import type { MediaHeader, MediaMessage } from "../protocol/media_message";
import { canSeal, type Opened, Opener, StreamKey } from "../protocol/seal";
import type { LockedWhy } from "./state";

export interface UnsealingEvents {
  media(header: MediaHeader, payload: Uint8Array): void;
  /** Nothing can be shown; `forGood` when only another link or page helps. */
  locked(why: LockedWhy, forGood: boolean): void;
  /** Something could be opened. */
  opened(): void;
}

export class Unsealing {
  /** Messages that were dropped because they were changed, withheld, repeated or not encrypted. */
  tampered = 0;
  #opener: Opener | null = null;
  #everOpened = false;

  constructor(
    private readonly streamId: string,
    /** As in the link, or null where it has none. */
    private readonly contentKey: string | null,
    private readonly events: UnsealingEvents,
    private readonly signal: AbortSignal,
  ) {}

  /** The directory says whether the stream is encrypted. */
  announced(sealed: boolean): void {
    if (sealed && this.contentKey === null) this.events.locked("no_key", true);
    else if (this.contentKey !== null && !canSeal()) this.events.locked("insecure_context", true);
  }

  take(message: MediaMessage): void {
    if (this.contentKey === null) {
      if (message.header.sealed) this.events.locked("no_key", true);
      else this.events.media(message.header, message.payload);
      return;
    }
    this.#opener ??= new Opener(new StreamKey(this.contentKey, this.streamId));
    void this.#opener.open(message).then((opened) => this.#judge(message.header, opened));
  }

  #judge(header: MediaHeader, opened: Opened): void {
    if (this.signal.aborted || opened.verdict === "left_out") return;
    if (opened.verdict === "opened") {
      if (!this.#everOpened) this.events.opened();
      this.#everOpened = true;
      this.events.media(opened.header, opened.payload);
      return;
    }
    this.tampered += 1;
    if (this.#everOpened) return;
    if (opened.verdict === "unsealed") this.events.locked("not_sealed", false);
    else if (header.kind === "init") this.events.locked("wrong_key", false);
  }
}
