// The broadcast of this page or window, if there is one. It goes on while people look at other pages of ours.
import type { Broadcast, BroadcastStatus } from "./host/broadcast";

let broadcast = $state.raw<Broadcast>();
let status = $state.raw<BroadcastStatus>();

export const onAir = {
  get broadcast(): Broadcast | undefined {
    return broadcast;
  },
  get status(): BroadcastStatus | undefined {
    return status;
  },
  /** Whether a stream is running, however well. */
  get running(): boolean {
    return status !== undefined && status.state !== "ended";
  },
};

/** Follows a broadcast that has begun. */
export function goOnAir(begun: Broadcast): void {
  broadcast = begun;
  status = begun.status;
  begun.onStatus((newest) => {
    if (broadcast === begun) status = newest;
  });
}

/** Forgets a broadcast that is over. */
export function clearAir(): void {
  broadcast = undefined;
  status = undefined;
}

addEventListener("beforeunload", (event) => {
  // Asks only when somebody would lose something.
  if (onAir.running && (status?.viewers ?? 0) > 0) event.preventDefault();
});
