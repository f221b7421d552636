//! Chaos over the real servers: relays and directories are killed, drained, cut off and brought back under live streams, and
//! players that read every header say what people would have noticed.

pub mod directory;
pub mod feed;
mod link;
pub mod player;
pub mod source;
pub mod stalls;

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, by this machine's clock, which all here share.
#[must_use]
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
