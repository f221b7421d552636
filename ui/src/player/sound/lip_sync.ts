// Where the sound should be: with the picture, or as close behind it as what has come allows. Pure: what is heard and seen goes
// in, decisions come out. Times are in seconds; `now` is a clock's, everything else is media time.

/** How much later than its picture sound may be heard. It is noticed from 125 ms on (ITU-R BT.1359); the rest is the broadcaster's,
 * whose sound is captured later than its picture. */
export const BEHIND_S_MAX = 0.08;
/** Slack of the sound: how long before its time even a late packet has come, to be decoded and handed over. */
const SLACK_S = 0.02;
/** What each gap adds to that, the most that they add, and how fast it is given back. */
const GAP_STEP_S = 0.02;
const GAPS_S_MAX = 0.2;
const GAPS_FORGOTTEN_PER_S = 0.001;

/** Sound is made faster or slower by no more than a sixth of a semitone. */
const PACE_OFF_MAX = 0.01;
const PACE_PER_S = 0.25;
const PACE_STEP = 0.001;
/** Steering begins at this error and ends at the smaller one. */
const STEER_FROM_S = 0.02;
const STEER_UNTIL_S = 0.006;
/** Past this error a cut is better than seconds of steering, once it was seen twice. */
const CUT_S = 0.06;
const CUT_PAUSE_S = 2;
/** An error this large has a reason: the picture has jumped. */
const CUT_AT_ONCE_S = 0.3;

export type SoundDecision =
  | { kind: "nothing" }
  | { kind: "pace"; pace: number }
  /** Go on from there: what is heard is moved by so much. */
  | { kind: "cut"; by: number }
  /** Begin: this is to be heard now. */
  | { kind: "begin"; at: number };

export interface Hearing {
  now: number;
  /** What leaves the speakers; null before anything does. */
  heard: number | null;
  /** How much the output has taken and not played yet. */
  ahead: number;
  /** Up to where sound is there, but for the latest few packets; null when unknown. */
  ready: number | null;
  /** What is on the screen; null while no picture moves. */
  seen: number | null;
}

const NOTHING: SoundDecision = { kind: "nothing" };

export class LipSync {
  #pace = 1;
  #steering = false;
  #off = 0;
  #cutAt = Number.NEGATIVE_INFINITY;
  #gaps = 0;
  #gapsAt = 0;

  /** The sound ran dry. */
  gap(now: number): void {
    this.#gaps = Math.min(GAPS_S_MAX, this.#penalty(now) + GAP_STEP_S);
    this.#gapsAt = now;
  }

  /** How much further than the sound that is there the picture may be; less than nothing when sound is slow to come out. What gaps
   * add to the slack is not the picture's to wait for: it would go back further with each. */
  allowance(ahead: number): number {
    return BEHIND_S_MAX - SLACK_S - ahead;
  }

  tick(hearing: Hearing): SoundDecision {
    const { now, heard, ahead, ready, seen } = hearing;
    if (ready === null) return NOTHING;
    const newest = ready - this.#slack(now) - ahead;
    const wanted = seen === null ? newest : Math.min(seen, newest);
    if (heard === null) return this.#cut(now, { kind: "begin", at: wanted });
    const error = wanted - heard;
    this.#off = Math.abs(error) > CUT_S ? this.#off + 1 : 0;
    const due = this.#off >= 2 && now - this.#cutAt >= CUT_PAUSE_S;
    if (due || Math.abs(error) > CUT_AT_ONCE_S) return this.#cut(now, { kind: "cut", by: error });
    return this.#steer(error);
  }

  #cut(now: number, decision: SoundDecision): SoundDecision {
    this.#cutAt = now;
    this.#off = 0;
    return decision;
  }

  #steer(error: number): SoundDecision {
    this.#steering = Math.abs(error) > (this.#steering ? STEER_UNTIL_S : STEER_FROM_S);
    const off = Math.min(PACE_OFF_MAX, Math.max(-PACE_OFF_MAX, error * PACE_PER_S));
    const pace = this.#steering ? 1 + Math.round(off / PACE_STEP) * PACE_STEP : 1;
    if (Math.abs(pace - this.#pace) < PACE_STEP / 2) return NOTHING;
    this.#pace = pace;
    return { kind: "pace", pace: Number(pace.toFixed(3)) };
  }

  #slack(now: number): number {
    return SLACK_S + this.#penalty(now);
  }

  #penalty(now: number): number {
    return Math.max(0, this.#gaps - (now - this.#gapsAt) * GAPS_FORGOTTEN_PER_S);
  }
}
