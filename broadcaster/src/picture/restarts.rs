//! When an encoder is started anew because the picture may take more bits or fewer. Pure.

use std::time::{Duration, Instant};

use crate::uplink_rate::PictureRate;

/// Between two such starts: each takes a moment of the processor and begins with a key frame, which is large.
const INTERVAL_MIN: Duration = Duration::from_secs(2);

/// What was decided for the rate, as far as it has been carried out.
#[derive(Debug)]
pub(super) struct Restarts {
    restarted_at: Option<Instant>,
    most_kbit_s: u32,
}

impl Restarts {
    /// For a picture that takes at most so much on a good line.
    pub(super) const fn new(most_kbit_s: u32) -> Self {
        Self { restarted_at: None, most_kbit_s }
    }

    /// An encoder was started because of the rate.
    pub(super) const fn restarted(&mut self, now: Instant) {
        self.restarted_at = Some(now);
    }

    /// When an encoder with `wanted` is to be started beside one with `has`; `None` when what there is will do.
    pub(super) fn due(&self, has: PictureRate, wanted: PictureRate, now: Instant) -> Option<Instant> {
        let (has, wanted) = (has.bitrate_kbit_s, wanted.bitrate_kbit_s);
        // Downwards at once; upwards in steps that are worth it.
        let is_worth_it = wanted < has || u64::from(wanted) * 4 >= u64::from(has) * 5 || wanted == self.most_kbit_s;
        (wanted != has && is_worth_it).then(|| self.restarted_at.map_or(now, |at| now.max(at + INTERVAL_MIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rate(bitrate_kbit_s: u32) -> PictureRate {
        PictureRate { bitrate_kbit_s, halves_frames: false }
    }

    #[test]
    fn less_is_carried_out_at_once_and_more_when_it_is_worth_it() {
        let (restarts, now) = (Restarts::new(2_500), Instant::now());
        for (has, wanted, is_due) in [
            (2_500, 2_500, false),
            (2_500, 2_499, true),
            (1_000, 1_249, false),
            (1_000, 1_250, true),
            (2_450, 2_500, true),
        ] {
            assert_eq!(restarts.due(rate(has), rate(wanted), now), is_due.then_some(now), "{has} {wanted}");
        }
    }

    #[test]
    fn restarts_are_two_seconds_apart() {
        let (mut restarts, now) = (Restarts::new(2_500), Instant::now());
        restarts.restarted(now);
        let soon = now + Duration::from_millis(500);
        assert_eq!(restarts.due(rate(1_000), rate(500), soon), Some(now + INTERVAL_MIN));
        let late = now + Duration::from_secs(9);
        assert_eq!(restarts.due(rate(1_000), rate(500), late), Some(late));
    }
}
