//! What the `chaos` command is doing, line by line, for whoever waits for it. Tests are silent.

use std::{sync::OnceLock, time::Instant};

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// From now on it is said.
pub fn begin() {
    BEGUN.get_or_init(Instant::now);
}

/// Seconds since [`begin`].
#[must_use]
pub fn elapsed_s() -> u64 {
    BEGUN.get().map_or(0, |begun| begun.elapsed().as_secs())
}

/// Says what is being done.
pub fn say(what: &str) {
    if BEGUN.get().is_some() {
        let seconds = elapsed_s();
        println!("  {:>2}:{:02}  {what}", seconds / 60, seconds % 60);
    }
}
