// The second, smaller picture that a stream may carry for viewers on slow lines: its size and what it costs. Pure.

/** As large as it gets: text on a shared screen can just be read, and a phone shows no more. */
const WIDTH_MAX = 640;
const HEIGHT_MAX = 360;
/** Half the frames of the full picture, but no fewer than this. */
const FRAME_RATE_MIN = 15;
/** Its part of the full picture's bits. */
const SHARE = 0.18;
/** Below this it falls apart, above it looks no better. */
const BITRATE_MIN = 150_000;
const BITRATE_MAX = 600_000;

export interface Rendition {
  width: number;
  height: number;
  frameRate: number;
  bitrate: number;
}

/** The small picture that goes with this one. */
export function smallPictureOf(full: Rendition): Rendition {
  const { width, height } = full;
  const [boundWidth, boundHeight] = width >= height ? [WIDTH_MAX, HEIGHT_MAX] : [HEIGHT_MAX, WIDTH_MAX];
  const scale = Math.min(1, boundWidth / width, boundHeight / height);
  const even = (length: number) => Math.max(2, Math.round((length * scale) / 2) * 2);
  const frameRate = Math.min(full.frameRate, Math.max(full.frameRate / 2, FRAME_RATE_MIN));
  const bitrate = Math.round(Math.min(BITRATE_MAX, Math.max(BITRATE_MIN, full.bitrate * SHARE)));
  return { width: even(width), height: even(height), frameRate, bitrate };
}
