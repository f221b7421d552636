//! When sends wait for one another: a core that has no time left does more with fewer and larger writes, as their cost is per write and
//! hardly per byte. While there is time, nothing waits.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// From this share of the cores on, in percent, sends are merged.
const SATURATED_PERCENT: u32 = 85;

/// Below this share, in percent, they no longer are. What merging saves must not end it.
const RELIEVED_PERCENT: u32 = 65;

/// Whether sends are merged now, for all rows of a relay.
#[derive(Debug, Default)]
pub struct Merging {
    delay_max: Duration,
    saturated: AtomicBool,
}

impl Merging {
    /// Sends may wait up to `delay_max` for one another.
    #[must_use]
    pub const fn new(delay_max: Duration) -> Self {
        Self { delay_max, saturated: AtomicBool::new(false) }
    }

    /// The relay used `cpu_percent` of its cores lately.
    pub fn load_is(&self, cpu_percent: u32) {
        let bound = if self.saturated.load(Ordering::Relaxed) { RELIEVED_PERCENT } else { SATURATED_PERCENT };
        self.saturated.store(cpu_percent >= bound, Ordering::Relaxed);
    }

    /// How long after one turn of a row the next one begins at the earliest.
    #[must_use]
    pub fn delay(&self) -> Duration {
        if self.saturated.load(Ordering::Relaxed) { self.delay_max } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_wait_while_there_is_no_time_left_and_until_there_is_plenty() {
        let most = Duration::from_millis(20);
        let merging = Merging::new(most);
        let delays = [0, 84, 85, 70, 65, 64, 80, 100].map(|percent| {
            merging.load_is(percent);
            merging.delay()
        });
        let none = Duration::ZERO;
        assert_eq!(delays, [none, none, most, most, most, none, none, most]);
    }
}
