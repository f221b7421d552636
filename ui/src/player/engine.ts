// Which media engine plays: they differ in what may be done to a running picture.

import type { Engine } from "./latency";

export function engineOf(userAgent: string): Engine {
  if (/Chrom(e|ium)\//.test(userAgent)) return "chromium";
  return /AppleWebKit\//.test(userAgent) ? "webkit" : "other";
}
