//! How fast one broadcaster's media is read. Whoever sends faster is read later: TCP makes it wait.

use std::time::Duration;

use protocol::limits::MESSAGE_BYTES_MAX;
use tokio::time::Instant;

/// What a message costs at least, however small it is: the work of taking it in and handing it on.
const MESSAGE_COST_MIN: usize = 1024;

/// Reads so many bytes per second, after a burst.
#[derive(Debug)]
pub struct Pace {
    bytes_per_s: f64,
    burst: f64,
    /// Bytes that may come at once; below zero, what was read too early.
    spare: f64,
    at: Instant,
}

impl Pace {
    /// So many bytes per second (above zero) from `now` on. The burst is a second's worth, and two of the largest messages in any case:
    /// what has piled up while a network was away.
    #[must_use]
    pub fn new(bytes_per_s: u64, now: Instant) -> Self {
        let bytes_per_s = bytes_per_s as f64;
        let burst = bytes_per_s.max(2.0 * MESSAGE_BYTES_MAX as f64);
        Self { bytes_per_s, burst, spare: burst, at: now }
    }

    /// A message of `bytes` was read at `now`; how long to wait before the next one is.
    pub fn took(&mut self, bytes: usize, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.bytes_per_s;
        self.at = now;
        self.spare = (self.spare + earned).min(self.burst) - bytes.max(MESSAGE_COST_MIN) as f64;
        Duration::from_secs_f64((-self.spare / self.bytes_per_s).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBYTE: u64 = 1_000_000;

    #[test]
    fn broadcaster_below_the_limit_never_waits() {
        let mut now = Instant::now();
        let mut pace = Pace::new(MBYTE, now);
        for _ in 0..10_000 {
            now += Duration::from_millis(10);
            assert_eq!(pace.took(9_900, now), Duration::ZERO);
        }
    }

    #[test]
    fn flood_is_read_at_the_limit_in_the_long_run() {
        let begun = Instant::now();
        let (mut pace, mut now, mut bytes) = (Pace::new(MBYTE, begun), begun, 0);
        while now.duration_since(begun) < Duration::from_secs(100) {
            now += pace.took(MESSAGE_BYTES_MAX, now);
            bytes += MESSAGE_BYTES_MAX as u64;
        }
        let over_burst = bytes - 2 * MESSAGE_BYTES_MAX as u64;
        assert!((95 * MBYTE..=105 * MBYTE).contains(&over_burst), "{over_burst}");
    }

    #[test]
    fn flood_of_tiny_messages_is_paced_too() {
        let begun = Instant::now();
        let (mut pace, mut now) = (Pace::new(MBYTE, begun), begun);
        for _ in 0..100_000 {
            now += pace.took(21, now);
        }
        assert!(now.duration_since(begun) > Duration::from_secs(90), "{:?}", now.duration_since(begun));
    }
}
