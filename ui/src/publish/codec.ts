// Chooses the H.264 profile, level, size and bit rate for a picture.

/** Levels of H.264 (ITU-T H.264 table A-1): macroblocks per second, macroblocks per frame. */
const LEVELS: readonly { idc: number; perSecond: number; perFrame: number }[] = [
  { idc: 0x1e, perSecond: 40_500, perFrame: 1_620 },
  { idc: 0x1f, perSecond: 108_000, perFrame: 3_600 },
  { idc: 0x20, perSecond: 216_000, perFrame: 5_120 },
  { idc: 0x28, perSecond: 245_760, perFrame: 8_192 },
  { idc: 0x2a, perSecond: 522_240, perFrame: 8_704 },
  { idc: 0x32, perSecond: 589_824, perFrame: 22_080 },
  { idc: 0x33, perSecond: 983_040, perFrame: 36_864 },
  { idc: 0x34, perSecond: 2_073_600, perFrame: 36_864 },
];

/** Constrained baseline first: every decoder has it, and it can't hold B-frames back. */
const PROFILES = ["42e0", "4d40", "6400"] as const;

/** The lowest level that fits, or none when the picture is too large for all. */
export function h264Level(width: number, height: number, frameRate: number): number | undefined {
  const perFrame = Math.ceil(width / 16) * Math.ceil(height / 16);
  return LEVELS.find((level) => perFrame <= level.perFrame && perFrame * frameRate <= level.perSecond)?.idc;
}

/** Codec strings (RFC 6381) to try for this picture, best first. */
export function h264Codecs(width: number, height: number, frameRate: number): string[] {
  const idc = h264Level(width, height, frameRate);
  if (idc === undefined) return [];
  return PROFILES.map((profile) => `avc1.${profile}${idc.toString(16)}`.replace(/\.(.*)$/, (hex) => hex.toUpperCase()));
}

/** What a person chooses from. */
export type Quality = "sharp" | "balanced" | "light";

/** What a quality asks for: the longest sides in pixels, frames per second, bits per second at that size. */
export const QUALITIES: Record<Quality, { width: number; height: number; frameRate: number; bitrate: number }> = {
  sharp: { width: 1920, height: 1080, frameRate: 30, bitrate: 5_000_000 },
  balanced: { width: 1280, height: 720, frameRate: 30, bitrate: 2_600_000 },
  light: { width: 960, height: 540, frameRate: 15, bitrate: 900_000 },
};

/** Below this a moving picture falls apart whatever its size. */
const BITRATE_MIN = 300_000;

/** The size to encode: within the quality's bounds, in proportion, and even as 4:2:0 needs. */
export function encodedSize(width: number, height: number, quality: Quality): { width: number; height: number } {
  const bound = QUALITIES[quality];
  // A tall window is bounded by the same area turned on its side.
  const [boundWidth, boundHeight] = width >= height ? [bound.width, bound.height] : [bound.height, bound.width];
  const scale = Math.min(1, boundWidth / width, boundHeight / height);
  const even = (length: number) => Math.max(2, Math.round((length * scale) / 2) * 2);
  return { width: even(width), height: even(height) };
}

/** Bits per second for this size: by area, but more per pixel when it is small. */
export function bitrateFor(width: number, height: number, quality: Quality): number {
  const bound = QUALITIES[quality];
  const share = Math.min(1, (width * height) / (bound.width * bound.height));
  return Math.round(Math.max(BITRATE_MIN, bound.bitrate * share ** 0.75));
}
