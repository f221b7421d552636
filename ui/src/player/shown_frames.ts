// How many frames a <video> shows, and how old they are: as it tells of each frame, and where it does not (WebKitGTK without
// OpenGL says nothing of any frame) as its clock and its counter say when they are looked at.

import { LatencyMeter, RateMeter } from "./stats";

/** Further ahead than this, the time a browser promises for a frame is not believed. */
const DISPLAY_AHEAD_MS_MAX = 50;
/** A picture that moves and has told of no frame for this long does not tell at all: still screens are repeated twice a second. */
const UNTOLD_MS = 1500;

export interface ShownFramesOptions {
  /** When the frame shown at a media time was captured, by the directory's clock. */
  capturedAtMs(mediaTime: number): number | null;
  /** The directory's time. */
  nowMs(): number;
}

export class ShownFrames {
  readonly #rate = new RateMeter();
  readonly #latency = new LatencyMeter();
  #presented = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #seen: { at: number; position: number; total: number } | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly options: ShownFramesOptions,
    private readonly signal: AbortSignal,
  ) {
    if ("requestVideoFrameCallback" in video) this.#watch();
  }

  get latencyMs(): number | null {
    return this.#latency.middle;
  }

  perSecond(now: number): number {
    return this.#rate.perSecond(now);
  }

  /** Time passes; several times in the window of a rate. */
  look(now: number): void {
    const { currentTime, seeking } = this.video;
    const total = this.video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    const before = this.#seen;
    this.#seen = { at: now, position: currentTime, total };
    if (now - this.#toldAt < UNTOLD_MS || before === null || before.position === currentTime || seeking) return;
    // WebKit counts anew after a seek. What has come since the last look came in the middle of it, as far as one can tell.
    this.#rate.add((now + before.at) / 2, Math.max(0, total - before.total));
    this.#shown(currentTime, 0);
  }

  #watch(): void {
    const shown = (now: number, frame: VideoFrameCallbackMetadata) => {
      if (this.signal.aborted) return;
      this.video.requestVideoFrameCallback(shown);
      this.#toldAt = now;
      this.#rate.add(now, Math.max(1, frame.presentedFrames - this.#presented));
      this.#presented = frame.presentedFrames;
      if (this.video.seeking) return;
      const ahead = Math.min(DISPLAY_AHEAD_MS_MAX, Math.max(0, frame.expectedDisplayTime - performance.now()));
      this.#shown(frame.mediaTime, ahead);
    };
    this.video.requestVideoFrameCallback(shown);
  }

  #shown(mediaTime: number, aheadMs: number): void {
    const capturedAtMs = this.options.capturedAtMs(mediaTime);
    if (capturedAtMs !== null) this.#latency.add(this.options.nowMs() + aheadMs - capturedAtMs);
  }
}
