//! The one place that reads the time of day. Pure parts take `now` from here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells the time since the Unix epoch. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Microseconds of a clock that is set by hand, for tests.
    by_hand: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Self::advance`], for tests.
    #[must_use]
    pub fn by_hand(start_us: u64) -> Self {
        Self { by_hand: Some(Arc::new(AtomicU64::new(start_us))) }
    }

    /// Moves a clock set by hand. The system's clock is not ours to move: nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Some(us) = &self.by_hand {
            us.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Microseconds since the Unix epoch; 0 when the machine believes in an earlier time.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        match &self.by_hand {
            Some(us) => us.load(Ordering::SeqCst),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX)),
        }
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_us() / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_by_hand_moves_only_by_hand() {
        let clock = Clock::by_hand(5_000_000);
        clock.clone().advance(Duration::from_millis(1500));
        assert_eq!((clock.now_us(), clock.now_s()), (6_500_000, 6));
    }
}
