// Why a segment's stream is broken off, as the other end is told; `protocol/src/webtransport.rs` has the same numbers.

const CODES = {
  /** What it had left is of no use any more. */
  skipped: 1,
  /** Its rest was waited for too long. */
  stalled: 2,
} as const;

/** As drafts before 2024 had it, and Chromium still has it. */
type OlderConstructor = new (init: { message: string; streamErrorCode: number }) => WebTransportError;

export function streamError(why: keyof typeof CODES): WebTransportError {
  const streamErrorCode = CODES[why];
  try {
    return new WebTransportError(why, { streamErrorCode });
  } catch {
    const Older = WebTransportError as unknown as OlderConstructor;
    return new Older({ message: why, streamErrorCode });
  }
}
