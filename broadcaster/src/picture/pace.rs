//! When the frames of the picture were captured, and the same for those of the smaller picture. Pure.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use protocol::limits::KEY_FRAME_INTERVAL;

/// A frame's declared length is its distance from the one before within these bounds; players go by the times alone.
const DURATION_US_MAX: u64 = 500_000;
const DURATION_US_MIN: u64 = 1_000;

/// How far two encoders of one source may overlap. A larger step back is this machine's clock being set.
const OVERLAP_US_MAX: u64 = 1_000_000;

/// Frames of the picture that are remembered for the smaller one, which is a few behind.
const FRAMES_MAX: usize = 240;

/// When a frame was captured, by this machine's clock, and how long it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) captured_us: u64,
    pub(super) duration_us: u32,
}

/// Times of the frames so far.
#[derive(Debug)]
pub(super) struct Pace {
    newest_us: Option<u64>,
    key_at: Instant,
    /// What the present encoder stamped its newest frames with, and what became of it.
    frames: VecDeque<(u32, Moment)>,
}

impl Pace {
    /// No frame yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { newest_us: None, key_at: now, frames: VecDeque::new() }
    }

    /// A frame of the picture that was stamped with `time_ms` and captured at about `captured_us`, of a source with this frame rate.
    pub(super) fn frame(&mut self, time_ms: u32, captured_us: u64, frame_rate: u32) -> Moment {
        let captured_us = self.in_order(captured_us);
        let nominal_us = 1_000_000 / u64::from(frame_rate.max(1));
        let gap_us = self.newest_us.map_or(nominal_us, |newest_us| captured_us.saturating_sub(newest_us));
        self.newest_us = Some(captured_us);
        let duration_us = gap_us.clamp(DURATION_US_MIN, DURATION_US_MAX).min(nominal_us);
        let moment = Moment { captured_us, duration_us: u32::try_from(duration_us).unwrap_or(u32::MAX) };
        if self.frames.len() == FRAMES_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back((time_ms, moment));
        moment
    }

    /// What the picture stamped its newest frame with.
    pub(super) fn newest_ms(&self) -> Option<u32> {
        self.frames.back().map(|(time_ms, _)| *time_ms)
    }

    /// When the smaller picture's frame with this stamp was captured: when the picture's was.
    pub(super) fn same(&self, time_ms: u32) -> Option<Moment> {
        self.frames.iter().rev().find(|(other_ms, _)| *other_ms == time_ms).map(|(_, moment)| *moment)
    }

    /// Another encoder goes on.
    pub(super) fn switched(&mut self) {
        self.frames.clear();
    }

    /// A key frame came.
    pub(super) const fn key(&mut self, now: Instant) {
        self.key_at = now;
    }

    /// How long it is until the next key frame comes by itself.
    pub(super) fn key_due(&self, now: Instant) -> Duration {
        KEY_FRAME_INTERVAL.saturating_sub(now.saturating_duration_since(self.key_at))
    }

    /// A second encoder may have captured its first frame just before the newest of the first: it is put behind it.
    fn in_order(&self, captured_us: u64) -> u64 {
        match self.newest_us {
            Some(newest_us) if newest_us.saturating_sub(captured_us) < OVERLAP_US_MAX => {
                captured_us.max(newest_us + 1_000)
            }
            _ => captured_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: u64 = 1_795_000_000_000_000;

    #[test]
    fn second_encoders_first_frame_goes_behind_the_newest() {
        let mut pace = Pace::new(Instant::now());
        assert_eq!(pace.frame(100, NOW_US, 30), Moment { captured_us: NOW_US, duration_us: 33_333 });
        pace.switched();
        assert_eq!(pace.frame(90, NOW_US - 10_000, 30), Moment { captured_us: NOW_US + 1_000, duration_us: 1_000 });
        // The clock was set back by more than two encoders overlap.
        assert_eq!(pace.frame(7, NOW_US - 5_000_000, 30).captured_us, NOW_US - 5_000_000);
    }

    #[test]
    fn frames_stand_until_the_next_at_any_frame_rate() {
        let mut pace = Pace::new(Instant::now());
        let durations_us: Vec<u32> =
            (0..7).map(|n| pace.frame(n * 50 / 3, NOW_US + u64::from(n * 50 / 3) * 1_000, 60).duration_us).collect();
        assert_eq!(durations_us, [16_666, 16_000, 16_666, 16_666, 16_000, 16_666, 16_666]);
        // Nothing changed for a while: a frame is no longer than its time, and players go by the next one's.
        assert_eq!(pace.frame(500, NOW_US + 500_000, 60).duration_us, 16_666);
    }

    #[test]
    fn smaller_picture_has_the_times_of_the_picture() {
        let mut pace = Pace::new(Instant::now());
        assert_eq!((pace.newest_ms(), pace.same(100)), (None, None));
        let moments = [100, 133, 166].map(|ms| pace.frame(ms, NOW_US + u64::from(ms) * 1_000, 30));
        assert_eq!((pace.newest_ms(), pace.same(133)), (Some(166), Some(moments[1])));
        assert_eq!(pace.same(134), None);
        pace.switched();
        assert_eq!(pace.same(133), None);
    }
}
