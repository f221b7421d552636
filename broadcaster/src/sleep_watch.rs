//! Notices that this machine slept, or that its clock was set: the wall clock has then gone on without the monotonic one. Pure.

use std::time::{Duration, Instant};

/// The two clocks drift apart by milliseconds a minute; a step of this is neither drift nor a slow look.
const STEP_MIN: Duration = Duration::from_secs(1);

/// Compares the two clocks from look to look.
#[derive(Debug)]
pub(crate) struct SleepWatch {
    looked_at: Instant,
    wall_us: u64,
}

/// What has happened since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woke {
    /// This machine slept, or its clock was put forward, by so much.
    Slept(Duration),
    /// Its clock was put back.
    ClockBack,
}

impl SleepWatch {
    /// Begins at `now`, when the wall clock showed `wall_us` (microseconds since the Unix epoch).
    pub(crate) const fn new(now: Instant, wall_us: u64) -> Self {
        Self { looked_at: now, wall_us }
    }

    /// Looks again; `None` when the clocks have gone on together.
    pub(crate) fn look(&mut self, now: Instant, wall_us: u64) -> Option<Woke> {
        let awake_us = u64::try_from((now - self.looked_at).as_micros()).unwrap_or(u64::MAX);
        let ahead = Duration::from_micros(wall_us.saturating_sub(self.wall_us).saturating_sub(awake_us));
        let behind = Duration::from_micros(self.wall_us.saturating_add(awake_us).saturating_sub(wall_us));
        *self = Self::new(now, wall_us);
        if ahead > STEP_MIN {
            Some(Woke::Slept(ahead))
        } else if behind > STEP_MIN {
            Some(Woke::ClockBack)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_went_alone_is_sleep() {
        let (began, wall_us) = (Instant::now(), 1_795_000_000_000_000);
        let mut watch = SleepWatch::new(began, wall_us);
        let mut look = |after_ms: u64, wall_ms: i64| {
            let wall_us = wall_us.saturating_add_signed(wall_ms * 1_000);
            watch.look(began + Duration::from_millis(after_ms), wall_us)
        };
        assert_eq!(look(100, 103), None);
        assert_eq!(look(9_100, 9_103), None, "a process that was stopped for a while has both clocks going on");
        assert_eq!(look(9_200, 3_609_203), Some(Woke::Slept(Duration::from_secs(3_600))));
        assert_eq!(look(9_300, 3_609_303), None);
        assert_eq!(look(9_400, 9_403), Some(Woke::ClockBack));
        assert_eq!(look(9_500, 9_503), None);
    }
}
