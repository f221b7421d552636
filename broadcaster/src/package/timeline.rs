//! Times: what the encoder stamps becomes this machine's clock, and that becomes the stream's own time.

use std::{collections::VecDeque, time::Duration};

/// FLV counts milliseconds in 31 bits.
const FLV_WRAP_MS: u64 = 1 << 31;

/// How long an anchor remembers arrivals: longer than a machine stays too busy to deliver in time, shorter than clocks drift apart.
const ANCHOR_MEMORY: Duration = Duration::from_secs(10);

/// A step ahead that no capture makes: this machine's clock was set.
const STEP_AHEAD_US_MAX: i64 = 60_000_000;

/// A step back that no disorder makes.
const STEP_BACK_US_MAX: i64 = 1_000_000;

/// The whole time, in microseconds, of an FLV time that is part of this machine's clock, given a moment shortly after it.
pub(crate) fn unwrap_flv_us(time_ms: u32, now_us: u64) -> u64 {
    let now_ms = now_us / 1_000;
    let base = now_ms - now_ms % FLV_WRAP_MS;
    let time_ms = base + u64::from(time_ms);
    let half = FLV_WRAP_MS / 2;
    let nearest = if time_ms > now_ms + half {
        time_ms.saturating_sub(FLV_WRAP_MS)
    } else if time_ms + half < now_ms {
        time_ms + FLV_WRAP_MS
    } else {
        time_ms
    };
    nearest * 1_000
}

/// Finds out when something with its own clock (a file, a sound card) was captured: nothing arrives before it was captured, so
/// the least delayed arrival of the last seconds tells how far that clock is from this machine's.
#[derive(Debug, Default, Clone)]
pub(crate) struct Anchor {
    /// Offsets of the memory's arrivals, growing, each with its arrival: a monotonic queue whose front is the least.
    offsets: VecDeque<(u64, i64)>,
}

impl Anchor {
    /// Something with `time_us` of its own clock arrived at `now_us`; when it was captured, by this machine's clock.
    pub(crate) fn arrived(&mut self, time_us: u64, now_us: u64) -> u64 {
        let offset = now_us.wrapping_sub(time_us).cast_signed();
        while self.offsets.back().is_some_and(|&(_, other)| other >= offset) {
            self.offsets.pop_back();
        }
        self.offsets.push_back((now_us, offset));
        let oldest_us = now_us.saturating_sub(u64::try_from(ANCHOR_MEMORY.as_micros()).unwrap_or(u64::MAX));
        while self.offsets.len() > 1 && self.offsets.front().is_some_and(|&(at, _)| at < oldest_us) {
            self.offsets.pop_front();
        }
        self.at(time_us).unwrap_or(now_us)
    }

    /// When `time_us` is by this machine's clock; `None` before the first arrival.
    pub(crate) fn at(&self, time_us: u64) -> Option<u64> {
        self.offsets.front().map(|&(_, offset)| time_us.wrapping_add_signed(offset))
    }
}

/// The stream's own time: microseconds since the session began, always growing within a track, also when this machine's clock is
/// set while the stream runs.
#[derive(Debug, Clone)]
pub(crate) struct TrackTime {
    origin_us: i64,
    newest_us: Option<i64>,
}

impl TrackTime {
    /// A track of a session that began at `origin_us` by this machine's clock.
    pub(crate) fn new(origin_us: u64) -> Self {
        Self { origin_us: origin_us.cast_signed(), newest_us: None }
    }

    /// The time of a sample captured at `captured_us` by this machine's clock.
    pub(crate) fn of(&mut self, captured_us: u64) -> u64 {
        let mut time_us = captured_us.cast_signed().wrapping_sub(self.origin_us);
        if let Some(newest_us) = self.newest_us {
            let goes_on_us = newest_us + 1_000;
            if time_us > newest_us + STEP_AHEAD_US_MAX || time_us < newest_us - STEP_BACK_US_MAX {
                self.origin_us = captured_us.cast_signed().wrapping_sub(goes_on_us);
                time_us = goes_on_us;
            }
            time_us = time_us.max(goes_on_us);
        }
        let time_us = time_us.max(0);
        self.newest_us = Some(time_us);
        time_us.cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_US: u64 = 1_795_000_000_123_456;

    #[test]
    fn flv_times_unwrap_on_both_sides_of_the_wrap() {
        let wrap_us = (NOW_US / 1_000 / FLV_WRAP_MS + 1) * FLV_WRAP_MS * 1_000;
        assert_eq!(unwrap_flv_us(0x7fff_ffff, wrap_us + 5_000), wrap_us - 1_000);
        assert_eq!(unwrap_flv_us(0, wrap_us - 1), wrap_us);
        assert_eq!(unwrap_flv_us(3, wrap_us + 40_000), wrap_us + 3_000);
    }

    proptest! {
        #[test]
        fn flv_times_of_the_last_days_unwrap(age_ms in 0_u64..1_000_000_000) {
            let time_ms = NOW_US / 1_000 - age_ms;
            let stamped = u32::try_from(time_ms % FLV_WRAP_MS).unwrap();
            prop_assert_eq!(unwrap_flv_us(stamped, NOW_US), time_ms * 1_000);
        }
    }

    #[test]
    fn late_arrivals_do_not_move_the_anchor() {
        let mut anchor = Anchor::default();
        assert_eq!(anchor.at(0), None);
        assert_eq!(anchor.arrived(0, NOW_US + 40_000), NOW_US + 40_000);
        assert_eq!(anchor.arrived(20_000, NOW_US + 25_000), NOW_US + 25_000);
        assert_eq!(anchor.arrived(40_000, NOW_US + 300_000), NOW_US + 45_000);
        assert_eq!(anchor.at(0), Some(NOW_US + 5_000));
    }

    #[test]
    fn anchor_follows_a_clock_that_drifts_slower() {
        let mut anchor = Anchor::default();
        for i in 0..2_000_u64 {
            let captured = anchor.arrived(i * 20_000, NOW_US + i * 20_100);
            assert!(NOW_US + i * 20_100 - captured <= 51_000, "{i}");
        }
    }

    #[test]
    fn stream_time_grows_although_the_clock_is_set() {
        let mut time = TrackTime::new(NOW_US);
        assert_eq!(time.of(NOW_US + 500_000), 500_000);
        assert_eq!(time.of(NOW_US + 500_000), 501_000);
        assert_eq!(time.of(NOW_US + 3_600_000_000), 502_000);
        assert_eq!(time.of(NOW_US + 3_600_040_000), 542_000);
        assert_eq!(time.of(NOW_US), 543_000);
        assert_eq!(time.of(NOW_US + 33_000), 576_000);
    }

    #[test]
    fn sample_from_before_the_session_is_at_its_beginning() {
        assert_eq!(TrackTime::new(NOW_US).of(NOW_US - 7), 0);
    }
}
