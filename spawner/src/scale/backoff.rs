//! How long to wait after starts that failed.

use std::time::{Duration, Instant};

/// The pause after the first failure: a port that was taken by chance is free at the next try.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause: an operator who has mended what was wrong waits no longer than this.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Doubles the pause with each failure in a row. There is one of these per directory: no two need to be kept apart by chance.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(crate) fn failed(&mut self, now: Instant) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + pause);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_up_to_its_bound_and_ends_with_a_success() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        assert!(backoff.is_over(now));
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            backoff.failed(now);
            assert!(!backoff.is_over(now + Duration::from_millis(pause * 1000 - 1)), "{pause}");
            assert!(backoff.is_over(now + Duration::from_secs(pause)), "{pause}");
        }
        backoff.succeeded();
        assert!(backoff.is_over(now) && backoff.failures() == 0);
    }
}
