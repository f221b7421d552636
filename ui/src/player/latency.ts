// Holds the playhead near the live edge. Pure: arrivals and ticks with the time go in, decisions come out. Times are in seconds.
//
// The aim is slack: how long before its time even a late chunk is there. Too little makes the picture stutter, too much is
// latency. Engines that change their rate gently are steered by rate; WebKit flushes its whole pipeline on every change of
// rate, so it is only ever held for a moment or, rarely, made to jump.

import { Arrivals } from "./arrivals";

export type Engine = "chromium" | "webkit" | "other";

export type Decision =
  | { kind: "nothing" }
  /** Begin to play at this media time. */
  | { kind: "play"; at: number }
  | { kind: "rate"; rate: number }
  | { kind: "jump"; to: number }
  /** Stop the playhead for a moment: it is ahead of what arrives. */
  | { kind: "hold"; ms: number };

export interface Playhead {
  now: number;
  /** `currentTime`. */
  position: number;
  /** The last media time that can be shown: the lesser of all tracks. */
  edge: number;
  /** Where the buffered range that holds the edge begins. */
  edgeStart: number;
  /** Whether the position moves (not stalled, seeking or paused). */
  moving: boolean;
}

/** Slack to aim for: decoding and a display frame or two; sound needs its output filled ahead. */
const MARGIN_S = { picture: 0.04, sound: 0.12 };
/** WebKit's shortest lead that plays without a stall. */
const WEBKIT_MARGIN_S = { picture: 0.07, sound: 0.12 };
/** What each stall adds to the margin, the most that stalls add, and how fast it is given back. With sound a stall costs half
 * a second, so one is enough to stay further back for a minute. */
const STALL_STEP_S = { picture: 0.03, sound: 0.06 };
const STALLS_S_MAX = 0.4;
const STALLS_FORGOTTEN_PER_S = 0.001;

/** Rates that nobody hears or sees; sound is stretched, so it gets less. */
const RATE_MIN = 0.95;
const RATE_MAX = { picture: 1.1, sound: 1.06 };
const RATE_PER_S = 0.8;
const RATE_STEP = 0.005;
/** Steering begins at this error and ends at the smaller one. */
const STEER_FROM_S = 0.02;
const STEER_UNTIL_S = 0.006;

/** Past this excess a jump is better than many seconds at a higher rate. */
const JUMP_EXCESS_S = 0.4;
/** So far behind its data the playhead only shows late frames: go back at once. */
const JUMP_BACK_S = 0.35;
/** Going back is for a playhead that is ahead of what comes, not for one that nothing comes to. */
const JUMP_BACK_FRESH_S = 0.2;
const JUMP_PAUSE_S = 3;
const JUMP_S_MIN = 0.1;
/** A seek freezes WebKit for a quarter of a second. */
const WEBKIT_JUMP_EXCESS_S = 0.7;
const WEBKIT_JUMP_PAUSE_S = 4;
/** Ahead at the start and after a seek: WebKit takes a tenth of a second or more to begin, which adds itself to the lead. */
const WEBKIT_LANDING_S = 0.04;
/** Starting cold takes WebKit long, and it keeps the lead that this makes: one more seek, once it is warm, is worth it. Seeks land
 * by luck, so it may take another; a player that these bring no nearer stays where it is. */
const WEBKIT_SETTLE_EXCESS_S = 0.09;
const WEBKIT_SETTLE_AFTER_S = 2;
const WEBKIT_SETTLE_PAUSE_S = 10;
const WEBKIT_SETTLES_MAX = 3;
const HOLD_S_MAX = 0.5;
const HOLD_PAUSE_S = 2;
/** After this long without a chunk there is nothing to hold the playhead against. */
const SILENT_S = 0.8;
/** How long a packet of sound that is played beside the picture counts: a cut of the sound costs nothing, the picture's waiting does. */
export const BESIDE_WINDOW_S = 2;
/** Without arrivals to judge by, only a lead that is plainly wrong is acted on. */
const LEAD_S_MAX = 1.5;

const NOTHING: Decision = { kind: "nothing" };

export class LatencyControl {
  readonly #arrivals = new Map<number, { arrivals: Arrivals; sound: boolean }>();
  /** How far sound that is played beside the picture lets it be. */
  readonly #allowed = new Arrivals(BESIDE_WINDOW_S);
  #rate = 1;
  #steering = false;
  #jumpedAt = Number.NEGATIVE_INFINITY;
  #beganAt = Number.POSITIVE_INFINITY;
  #settledAt = Number.NEGATIVE_INFINITY;
  #settles = 0;
  #heldAt = Number.NEGATIVE_INFINITY;
  #stalls = 0;
  #stallsAt = 0;
  #arrivedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly engine: Engine) {}

  /** A chunk came in time order, not as part of a backlog. */
  arrived(now: number, track: number, sound: boolean, mediaTime: number): void {
    let entry = this.#arrivals.get(track);
    if (!entry) {
      entry = { arrivals: new Arrivals(), sound };
      this.#arrivals.set(track, entry);
    }
    entry.arrivals.add(now, mediaTime);
    this.#arrivedAt = now;
  }

  /** Sound that is played beside the picture came, and lets it be at this media time and no further. */
  allowed(now: number, mediaTime: number): void {
    this.#allowed.add(now, mediaTime);
  }

  /** The picture stopped for want of data. */
  ranDry(now: number): void {
    const step = this.#hasSound() ? STALL_STEP_S.sound : STALL_STEP_S.picture;
    this.#stalls = Math.min(STALLS_S_MAX, this.#penalty(now) + step);
    this.#stallsAt = now;
  }

  /** Another picture of the stream comes: stalls for want of room on the way say nothing of it. */
  switched(): void {
    this.reset();
    this.#stalls = 0;
  }

  /** The way that chunks take has changed; what was learnt about stalls stays. */
  reset(): void {
    this.#arrivals.clear();
    this.#allowed.reset();
    this.#arrivedAt = Number.NEGATIVE_INFINITY;
    this.#steering = false;
    this.#rate = 1;
  }

  /** Whether and where to begin, given that everything between `edgeStart` and `edge` is there. */
  begin(now: number, edgeStart: number, edge: number): Decision {
    if (this.engine !== "webkit") return { kind: "play", at: Math.max(edgeStart, edge) };
    if (edge - edgeStart < WEBKIT_LANDING_S) return NOTHING;
    this.#beganAt = now;
    return { kind: "play", at: edge - WEBKIT_LANDING_S };
  }

  tick(playhead: Playhead): Decision {
    const { now, position, edge, edgeStart, moving } = playhead;
    // The playhead stands before a hole, or in one: nothing will ever fill it.
    if (!moving && position < edgeStart - 0.001)
      return this.#jump(now, Math.max(edgeStart, this.#landing(playhead)), 0.5);
    if (now - this.#arrivedAt > SILENT_S) return NOTHING;
    const slack = this.#slack(now, position);
    if (slack === null) {
      return edge - position > LEAD_S_MAX ? this.#jump(now, this.#landing(playhead), JUMP_PAUSE_S) : NOTHING;
    }
    const excess = slack - this.margin(now);
    return this.engine === "webkit" ? this.#hold(playhead, slack, excess) : this.#steer(playhead, excess);
  }

  /** Slack that is aimed for. */
  margin(now: number): number {
    const margins = this.engine === "webkit" ? WEBKIT_MARGIN_S : MARGIN_S;
    return (this.#hasSound() ? margins.sound : margins.picture) + this.#penalty(now);
  }

  /** The slack of the track that has least; null when unknown. */
  #slack(now: number, position: number): number | null {
    let least: number | null = null;
    for (const { arrivals } of this.#arrivals.values()) {
      const ready = arrivals.readyAt(now);
      if (ready !== null) least = Math.min(least ?? Number.POSITIVE_INFINITY, ready - position);
    }
    // The picture waits for a way of the sound that is longer than its own, not for hiccups of the sound.
    const allowed = this.#allowed.middleAt(now);
    return least === null || allowed === null ? least : Math.min(least, allowed + this.margin(now) - position);
  }

  #steer(playhead: Playhead, excess: number): Decision {
    const { now, moving } = playhead;
    const ahead = excess < -JUMP_BACK_S && now - this.#arrivedAt < JUMP_BACK_FRESH_S;
    const landing = this.#landing(playhead);
    // A playhead that stands still at its edge gains slack too, but has nowhere to jump.
    if ((excess > JUMP_EXCESS_S || ahead) && Math.abs(landing - playhead.position) > JUMP_S_MIN) {
      const decision = this.#jump(now, landing, JUMP_PAUSE_S);
      if (decision.kind === "jump") return decision;
    }
    if (!moving) return NOTHING;
    this.#steering = Math.abs(excess) > (this.#steering ? STEER_UNTIL_S : STEER_FROM_S);
    const most = this.#hasSound() ? RATE_MAX.sound : RATE_MAX.picture;
    const wanted = this.#steering ? Math.min(most, Math.max(RATE_MIN, 1 + excess * RATE_PER_S)) : 1;
    const rate = Math.round(wanted / RATE_STEP) * RATE_STEP;
    if (Math.abs(rate - this.#rate) < RATE_STEP / 2) return NOTHING;
    this.#rate = rate;
    return { kind: "rate", rate: Number(rate.toFixed(3)) };
  }

  #hold(playhead: Playhead, slack: number, excess: number): Decision {
    const { now, moving } = playhead;
    if (excess > WEBKIT_JUMP_EXCESS_S) return this.#jump(now, this.#landing(playhead), WEBKIT_JUMP_PAUSE_S);
    const warm = now - this.#beganAt > WEBKIT_SETTLE_AFTER_S && now - this.#settledAt > WEBKIT_SETTLE_PAUSE_S;
    if (warm && moving && excess > WEBKIT_SETTLE_EXCESS_S && this.#settles < WEBKIT_SETTLES_MAX) {
      this.#settledAt = now;
      this.#settles += 1;
      return this.#jump(now, this.#landing(playhead), WEBKIT_JUMP_PAUSE_S);
    }
    if (slack >= 0 || !moving || now - this.#heldAt < HOLD_PAUSE_S) return NOTHING;
    this.#heldAt = now;
    return { kind: "hold", ms: Math.round(Math.min(HOLD_S_MAX, -excess) * 1000) };
  }

  #jump(now: number, to: number, pause: number): Decision {
    if (now - this.#jumpedAt < pause) return NOTHING;
    this.#jumpedAt = now;
    return { kind: "jump", to };
  }

  /** Where a jump should land to have the wanted slack. */
  #landing({ now, edge, edgeStart }: Playhead): number {
    const ready = this.#slack(now, 0) ?? edge;
    const lead = this.engine === "webkit" ? WEBKIT_LANDING_S : this.margin(now);
    return Math.max(edgeStart, Math.min(edge, ready - lead));
  }

  #penalty(now: number): number {
    return Math.max(0, this.#stalls - (now - this.#stallsAt) * STALLS_FORGOTTEN_PER_S);
  }

  #hasSound(): boolean {
    return [...this.#arrivals.values()].some((entry) => entry.sound);
  }
}
