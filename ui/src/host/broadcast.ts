// A running broadcast as the pages see it, whoever runs it: this page in a browser, or the desktop app.

import type { AudienceMember } from "../protocol/generated/AudienceMember";
import type { BroadcastState } from "../protocol/generated/BroadcastState";
import type { BroadcastStatus } from "../protocol/generated/BroadcastStatus";
import type { Visibility } from "../protocol/generated/Visibility";

export type { AudienceMember, BroadcastState, BroadcastStatus };

export interface Broadcast {
  readonly id: string;
  readonly title: string;
  /** Who can find it; undefined where that is not known. */
  readonly visibility: Visibility | undefined;
  /** The newest status. */
  readonly status: BroadcastStatus;
  /** Things worth knowing that are no failure, in sentences. */
  readonly notices: string[];
  /** Calls `listener` with each new status, several times a second; answers a function that ends it. */
  onStatus(listener: (status: BroadcastStatus) => void): () => void;
  /** Sends a viewer away for good; rejects with a failure in words. */
  removeViewer(viewer: string): Promise<void>;
  /** Ends the stream for everybody. */
  stop(): Promise<void>;
}
