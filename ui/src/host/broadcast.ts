// A running broadcast as the pages see it, whoever runs it: this page in a browser, or the desktop app.

import type { BroadcastState } from "../protocol/generated/BroadcastState";
import type { BroadcastStatus } from "../protocol/generated/BroadcastStatus";

export type { BroadcastState, BroadcastStatus };

export interface Broadcast {
  readonly id: string;
  readonly title: string;
  /** The newest status. */
  readonly status: BroadcastStatus;
  /** Things worth knowing that are no failure, in sentences. */
  readonly notices: string[];
  /** Calls `listener` with each new status, several times a second; answers a function that ends it. */
  onStatus(listener: (status: BroadcastStatus) => void): () => void;
  /** Ends the stream for everybody. */
  stop(): Promise<void>;
}
