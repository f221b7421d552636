// A running broadcast as the pages see it, whoever runs it: this page in a browser, or the desktop app.

import type { AudienceMember } from "../protocol/generated/AudienceMember";
import type { BroadcastState } from "../protocol/generated/BroadcastState";
import type { BroadcastStatus as GeneratedStatus } from "../protocol/generated/BroadcastStatus";
import type { Visibility } from "../protocol/generated/Visibility";
import type { TransportKind } from "../transport/transport";

export type { AudienceMember, BroadcastState };

/** `hidden`: what is shared delivers no picture for now; `gone`: it never will again. */
export type SourceState = "shown" | "hidden" | "gone";

/** A broadcast at one moment. */
export type BroadcastStatus = Omit<GeneratedStatus, "transport"> & {
  /** What has become of what is shared; known to broadcasts of a page alone. */
  source?: SourceState;
  /** How long the stream goes on with nothing to show; null while there is something. */
  ends_in_ms?: number | null;
  /** What the stream travels by to its relay, null while it does not. */
  transport?: TransportKind | null;
};

export interface Broadcast {
  readonly id: string;
  readonly title: string;
  /** Who can find it; undefined where that is not known. */
  readonly visibility: Visibility | undefined;
  /** The newest status. */
  readonly status: BroadcastStatus;
  /** Things worth knowing that are no failure, in sentences; others once something else is shared. */
  readonly notices: string[];
  /** Calls `listener` with each new status, several times a second; answers a function that ends it. */
  onStatus(listener: (status: BroadcastStatus) => void): () => void;
  /** Sends a viewer away for good; rejects with a failure in words. */
  removeViewer(viewer: string): Promise<void>;
  /** Asks the person for something else to share, in the same stream; rejects with a failure in words. Only from a click. */
  shareAnother?(): Promise<void>;
  /** Ends the stream for everybody. */
  stop(): Promise<void>;
}
