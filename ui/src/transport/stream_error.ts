// Why a segment's stream is broken off, as the other end is told; `protocol/src/webtransport.rs` has the same numbers.

const CODES = {
  /** What it had left is of no use any more. */
  skipped: 1,
  /** Its rest was waited for too long. */
  stalled: 2,
} as const;

export function streamError(why: keyof typeof CODES): WebTransportError {
  return new WebTransportError(why, { streamErrorCode: CODES[why] });
}
