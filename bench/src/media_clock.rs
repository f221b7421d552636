//! When chunks are planned to be sent, and the clock that both ends of a measurement read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that never jumps, in microseconds since the Unix epoch as it was when the clock was made.
#[derive(Debug, Clone, Copy)]
pub struct MediaClock {
    made_at: Instant,
    made_at_us: u64,
}

impl MediaClock {
    /// A clock that starts at the time of day.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { made_at: Instant::now(), made_at_us: u64::try_from(since_epoch.as_micros()).unwrap_or_default() }
    }

    /// Now.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.made_at_us + u64::try_from(self.made_at.elapsed().as_micros()).unwrap_or(u64::MAX - self.made_at_us)
    }

    /// The same moment as an instant.
    #[must_use]
    pub fn instant(&self, at_us: u64) -> Instant {
        self.made_at + Duration::from_micros(at_us.saturating_sub(self.made_at_us))
    }
}

/// One chunk of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedChunk {
    /// Its segment.
    pub segment: u32,
    /// Its number within the segment.
    pub chunk: u32,
    /// When it is to be sent.
    pub at_us: u64,
}

/// An even pace: chunk `n` is sent `n / rate` seconds after the first, whatever happened to the one before. The first is due at once, with
/// a time that has passed: viewers can join, whenever the second comes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time of the first chunk.
    pub begin_us: u64,
    /// Chunks per second.
    pub rate: f64,
    /// Chunks of a segment.
    pub key_interval: u32,
}

impl Pace {
    /// A pace whose second chunk is sent `offset` after `now_us`.
    #[must_use]
    pub fn from(now_us: u64, offset: Duration, rate: f64, key_interval: u32) -> Self {
        let offset_us = u64::try_from(offset.as_micros()).unwrap_or_default();
        Self { begin_us: (now_us + offset_us).saturating_sub(interval_us(rate)), rate, key_interval }
    }

    /// The chunk that is sent as number `n`, counted from 0.
    #[must_use]
    pub fn planned(&self, n: u32) -> PlannedChunk {
        PlannedChunk {
            segment: n / self.key_interval,
            chunk: n % self.key_interval,
            at_us: self.begin_us + (f64::from(n) * 1e6 / self.rate) as u64,
        }
    }
}

/// The time between two chunks, at least.
#[must_use]
pub fn interval_us(rate: f64) -> u64 {
    (1e6 / rate) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_does_not_drift_and_segments_begin_with_a_key_chunk() {
        let pace = Pace { begin_us: 1_000, rate: 30.0, key_interval: 60 };
        assert_eq!(pace.planned(0), PlannedChunk { segment: 0, chunk: 0, at_us: 1_000 });
        assert_eq!(pace.planned(1).at_us, 34_333);
        assert_eq!(pace.planned(60), PlannedChunk { segment: 1, chunk: 0, at_us: 2_001_000 });
        assert_eq!(pace.planned(30 * 3600).at_us, 3_600_001_000);
    }

    #[test]
    fn first_chunk_is_due_at_once_and_the_second_when_it_is_this_streams_turn() {
        let pace = Pace::from(50_000_000, Duration::from_secs(4), 0.1, 1);
        assert_eq!(pace.planned(0).at_us, 44_000_000);
        assert_eq!(pace.planned(1), PlannedChunk { segment: 1, chunk: 0, at_us: 54_000_000 });
        assert_eq!(pace.planned(2).at_us, 64_000_000);
    }
}
