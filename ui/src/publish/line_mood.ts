// How the connection is spoken of. A way back to what was chosen is told for a moment, and nothing is told of one that was always
// good. Pure.
import type { UplinkRate } from "./uplink_rate";

/** `floor`: even the least is too much for it. */
export type LineMood = "good" | "slow" | "floor" | "good_again";

/** Long enough to be read by somebody who looks at another window. */
const GOOD_AGAIN_MS = 10_000;

export class MoodWatch {
  #slow = false;
  #goodAgainUntilMs = Number.NEGATIVE_INFINITY;

  now({ isSlow, isAtFloor }: Pick<UplinkRate, "isSlow" | "isAtFloor">, nowMs: number): LineMood {
    if (this.#slow && !isSlow) this.#goodAgainUntilMs = nowMs + GOOD_AGAIN_MS;
    this.#slow = isSlow;
    if (isSlow) return isAtFloor ? "floor" : "slow";
    return nowMs < this.#goodAgainUntilMs ? "good_again" : "good";
  }
}
