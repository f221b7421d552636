// Bounds that both ends of a connection agree on; `protocol/src/limits.rs` has the reasons.

/** Largest message, in bytes. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Largest control message, in bytes. */
export const CONTROL_BYTES_MAX = 64 * 1024;
