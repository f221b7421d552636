// The picture that stands for a stream until there is a better one: rings, as a signal spreads, drawn from the stream's id. Pure.

export interface Cover {
  /** Hues in degrees. */
  from: number;
  to: number;
  /** Centre of the rings in a field of 160 by 90. */
  x: number;
  y: number;
  /** Radii of the rings. */
  rings: number[];
  /** Which way the light falls, in degrees. */
  angle: number;
}

/** The same id always gives the same picture; ids that differ anywhere are unlikely to look alike. */
export function coverOf(id: string): Cover {
  const byte = (at: number) => Number.parseInt(id.slice(at * 2, at * 2 + 2), 16) || 0;
  const from = Math.round((byte(0) / 256) * 360);
  const gap = 9 + (byte(4) / 256) * 8;
  const first = 5 + (byte(5) / 256) * 6;
  return {
    from,
    to: (from + 35 + Math.round((byte(1) / 256) * 60)) % 360,
    x: Math.round(24 + (byte(2) / 256) * 112),
    y: Math.round(18 + (byte(3) / 256) * 54),
    rings: Array.from({ length: 9 }, (_, ring) => Math.round((first + gap * (ring + 1)) * 10) / 10),
    angle: Math.round((byte(6) / 256) * 360),
  };
}
