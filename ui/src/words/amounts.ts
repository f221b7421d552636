// Numbers as people say them.

/** `1 viewer`, `12 viewers`. */
export function viewersInWords(count: number): string {
  return count === 1 ? "1 viewer" : `${count.toLocaleString("en")} viewers`;
}

/** `0 kbit/s`, `850 kbit/s`, `2.6 Mbit/s`. */
export function bitrateInWords(kbitPerSecond: number): string {
  if (kbitPerSecond < 1000) return `${Math.round(kbitPerSecond)} kbit/s`;
  return `${(kbitPerSecond / 1000).toFixed(1)} Mbit/s`;
}

/** `120 ms`, `1.4 s`. */
export function delayInWords(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
