// How many bits per second the picture may have, decided from how the uplink bears what is sent. The broadcaster of the app and of
// the command line decides the same; both are tested with the table in protocol/vectors/uplink_rate.json. Pure: what was
// observed goes in. Whole numbers only, so that both come to the same results.

/** A chunk that has queued for longer is late. Twice in a row, and the line is slower than the picture. */
const LATE_MS = 400;
/** A line on which nothing queues for longer has room. */
const CALM_MS = 150;
/** The way there and back, which is no queue, is believed up to this: half around the world. */
const FAR_MS_MAX = 300;
/** Below this nothing moving can be made out any more. */
const BITRATE_MIN = 200_000;
/** Below this half the frames, each with twice the bits, are easier to read. */
const HALF_FRAMES_BELOW = 500_000;
/** So long there has to be room before more is tried. It doubles with each try that fails. */
const CALM_WAIT_MS = 5_000;
const CALM_WAIT_MS_MAX = 60_000;
/** A step down that comes this soon after a step up: the try has failed. */
const CLIMB_FAILED_MS = 10_000;
/** What an encoder was set to takes this long to show. */
const SILENCE_MS = 1_000;
/** Between two steps up. */
const STEP_MS = 1_000;
/** What has gone through is counted over this time. */
const THROUGHPUT_MS = 1_000;
/** Of a connection that is younger, so much: a first confirmation is no flood. */
const THROUGHPUT_MS_MIN = 250;
/** Nobody has looked for longer than this: whatever is found is not the line's doing. */
const SLEPT_MS = 1_500;

/** What is seen of the uplink, four times a second. */
export interface Look {
  /** Milliseconds on a clock that never goes back. */
  nowMs: number;
  /** Bytes of the chunks that were made since the last look, sent or left out. */
  made: number;
  /** Bytes that the relay has confirmed since. */
  acked: number;
  /** How long the oldest unconfirmed chunk has been under way, right after a confirmation was taken in; null for none. */
  ageMs: number | null;
}

export class UplinkRate {
  #bitrate: number;
  #configured: number;
  #fixed: number;
  #looks: Look[] = [];
  #lookedAtMs: number;
  #connectedAtMs: number;
  #wayMs: number | undefined;
  #late = 0;
  #restless = 0;
  #calmSinceMs: number | undefined;
  #silentUntilMs = Number.NEGATIVE_INFINITY;
  #steppedUpAtMs = Number.NEGATIVE_INFINITY;
  #waitMs = CALM_WAIT_MS;

  /** `configured`: what the picture gets on a good line. `fixed`: what else is sent and does not adapt. Bits per second. */
  constructor(configured: number, fixed: number, nowMs: number) {
    this.#bitrate = configured;
    this.#configured = configured;
    this.#fixed = fixed;
    this.#lookedAtMs = nowMs;
    this.#connectedAtMs = nowMs;
  }

  /** What the picture may have, in bits per second. */
  get bitrate(): number {
    return this.#bitrate;
  }

  /** What it gets on a good line. */
  get configured(): number {
    return this.#configured;
  }

  /** Only every other frame is to be sent. */
  get halvesFrames(): boolean {
    return this.#bitrate < Math.min(HALF_FRAMES_BELOW, this.#configured);
  }

  /** Less is sent than was chosen. */
  get isSlow(): boolean {
    return this.#bitrate < this.#configured;
  }

  /** The line bears less than the least. */
  get isAtFloor(): boolean {
    return this.isSlow && this.#bitrate <= this.#floor;
  }

  /** The picture has become another one, larger or smaller. */
  configure(configured: number, fixed: number): void {
    const slow = this.isSlow;
    this.#configured = configured;
    this.#fixed = fixed;
    this.#bitrate = slow ? Math.min(this.#bitrate, configured) : configured;
  }

  /** A connection begins: what was seen of another says nothing about it. */
  connected(nowMs: number): void {
    this.#connectedAtMs = nowMs;
    this.#looks = [];
    this.#wayMs = undefined;
    this.#late = 0;
    this.#restless = 0;
    this.#calmSinceMs = undefined;
  }

  look(look: Look): void {
    const { nowMs, ageMs } = look;
    const slept = nowMs - this.#lookedAtMs > SLEPT_MS;
    this.#lookedAtMs = nowMs;
    if (slept) {
      this.connected(nowMs);
      return;
    }
    this.#looks = [...this.#looks.filter((each) => nowMs - each.nowMs < THROUGHPUT_MS), look];
    const queueMs = ageMs === null ? 0 : this.#queue(ageMs);
    if (nowMs < this.#silentUntilMs) return;
    this.#late = queueMs > LATE_MS ? this.#late + 1 : 0;
    this.#restless = queueMs >= CALM_MS ? this.#restless + 1 : 0;
    // A single one is a key frame, or a machine that was busy.
    if (this.#restless >= 2) this.#calmSinceMs = undefined;
    else if (this.#restless === 0) this.#calmSinceMs ??= nowMs;
    if (this.#late >= 2) this.#stepDown(nowMs);
    else if (this.#mayStepUp(nowMs)) this.#stepUp(nowMs);
  }

  get #floor(): number {
    return Math.min(BITRATE_MIN, this.#configured);
  }

  /** What is left of an age when the way is taken off. */
  #queue(ageMs: number): number {
    this.#wayMs = Math.min(this.#wayMs ?? ageMs, ageMs);
    return ageMs - Math.min(this.#wayMs, FAR_MS_MAX);
  }

  #mayStepUp(nowMs: number): boolean {
    if (this.#calmSinceMs === undefined || this.#restless > 0 || !this.isSlow) return false;
    return nowMs - this.#calmSinceMs >= this.#waitMs && nowMs - this.#steppedUpAtMs >= STEP_MS;
  }

  #stepUp(nowMs: number): void {
    this.#bitrate = Math.min(this.#configured, Math.floor((this.#bitrate * 108) / 100));
    this.#steppedUpAtMs = nowMs;
  }

  #stepDown(nowMs: number): void {
    const failed = nowMs - this.#steppedUpAtMs <= CLIMB_FAILED_MS;
    this.#waitMs = failed ? Math.min(2 * this.#waitMs, CALM_WAIT_MS_MAX) : CALM_WAIT_MS;
    let next = Math.floor((this.#bitrate * 7) / 10);
    const made = this.#bitsPerSecond(nowMs, "made");
    const acked = this.#bitsPerSecond(nowMs, "acked");
    // A still picture, or a line that carries nothing for a moment, tells nothing about what the line could carry.
    if (acked > 0 && made * 2 >= this.#bitrate + this.#fixed) {
      next = Math.min(next, Math.floor((acked * 8) / 10) - this.#fixed);
    }
    this.#bitrate = Math.min(this.#bitrate, Math.max(this.#floor, next));
    this.#silentUntilMs = nowMs + SILENCE_MS;
    this.#late = 0;
    this.#calmSinceMs = undefined;
  }

  #bitsPerSecond(nowMs: number, what: "made" | "acked"): number {
    const ms = Math.max(THROUGHPUT_MS_MIN, Math.min(THROUGHPUT_MS, nowMs - this.#connectedAtMs));
    const bytes = this.#looks.reduce((sum, look) => sum + look[what], 0);
    return Math.floor((bytes * 8000) / ms);
  }
}
