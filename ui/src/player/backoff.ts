// How long to wait before the next attempt: at once after a healthy session, then growing with random spread, for ever.

/** The first real pause: long enough for a relay that restarts to be back. */
export const PAUSE_MS_FIRST = 250;
/** The longest pause: what a person accepts to wait after the network is back. */
export const PAUSE_MS_MAX = 3000;
/** Spread of the immediate first attempt, so that the viewers of a dead relay don't arrive at the next in one instant. */
const SPREAD_MS_FIRST = 100;

/** Milliseconds before attempt number `failures` (0 = first after success); `random` is in [0, 1). */
export function pauseBefore(failures: number, random: number): number {
  if (failures <= 0) return random * SPREAD_MS_FIRST;
  const whole = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** Math.min(failures - 1, 16));
  return whole / 2 + (random * whole) / 2;
}
