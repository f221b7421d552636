// How the connection is spoken of. What comes and goes within seconds is told as one, a way back to what was chosen for a moment, and
// nothing of a line that was always good. Pure.
import type { UplinkRate } from "./uplink_rate";

/** `too_slow`: even the least is too much for it, and frames are left out. */
export type LineMood = "good" | "slow" | "too_slow" | "good_again";

/** Long enough to be read by somebody who looks at another window. */
const GOOD_AGAIN_MS = 10_000;
/** Frames that were left out are spoken of for this long. */
const LEFT_OUT_MS = 10_000;

export class MoodWatch {
  #slow = false;
  #goodAgainUntilMs = Number.NEGATIVE_INFINITY;
  #leftOutUntilMs = Number.NEGATIVE_INFINITY;

  /** `behind`: frames are being left out. */
  now({ isSlow, isAtFloor }: Pick<UplinkRate, "isSlow" | "isAtFloor">, behind: boolean, nowMs: number): LineMood {
    if (this.#slow && !isSlow) this.#goodAgainUntilMs = nowMs + GOOD_AGAIN_MS;
    this.#slow = isSlow;
    if (isAtFloor && behind) this.#leftOutUntilMs = nowMs + LEFT_OUT_MS;
    if (isAtFloor && nowMs < this.#leftOutUntilMs) return "too_slow";
    if (isSlow) return "slow";
    return nowMs < this.#goodAgainUntilMs ? "good_again" : "good";
  }
}
