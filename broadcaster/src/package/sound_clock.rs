//! When each sound packet was captured. A sound card counts samples by its own clock and its samples arrive late by varying times;
//! players want packets without gaps. So packets follow one another sample by sample, until the sum is too far from the truth.

use std::time::Duration;

use super::timeline::Anchor;

/// One Opus packet of 20 ms of silence, in stereo (RFC 6716 3.1: CELT, 20 ms, stereo).
pub(crate) const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];

/// How long [`SILENCE`] plays, in microseconds.
pub(crate) const SILENCE_US: u64 = 20_000;

/// Sound that is this far from the picture begins to be noticed (ITU-R BT.1359: 125 ms late).
const DRIFT_US_MAX: u64 = 120_000;

/// Sound that was away for longer is not made up for: the picture was, too, while the machine slept.
const AWAY_US_MAX: u64 = 2_000_000;

/// Packets of this long are left out at the beginning, until the least delay of their arrival is known.
const WARM_UP: Duration = Duration::from_millis(400);

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// Leave it out: arrivals are still being measured, or the sound is ahead of the picture.
    LeftOut,
    /// Send `silent` packets of silence, the first at `captured_us`, and then this one behind them.
    Sent {
        /// By this machine's clock.
        captured_us: u64,
        /// Packets that the sound card lost.
        silent: u32,
    },
}

/// Places the packets of one run of the sound's encoder.
#[derive(Debug, Default)]
pub(crate) struct SoundClock {
    began_us: Option<u64>,
    next_us: Option<u64>,
}

impl SoundClock {
    /// Where the packet goes that plays for `duration_us`, arrived at `now_us`, and that `anchored_us` (by [`Anchor`] or the like)
    /// says was captured then.
    pub(crate) fn place(&mut self, anchored_us: u64, duration_us: u64, now_us: u64) -> Placed {
        let began_us = *self.began_us.get_or_insert(now_us);
        if now_us.saturating_sub(began_us) < u64::try_from(WARM_UP.as_micros()).unwrap_or(u64::MAX) {
            return Placed::LeftOut;
        }
        let is_near = |next_us: &u64| anchored_us.saturating_sub(*next_us) <= AWAY_US_MAX;
        let next_us = self.next_us.filter(is_near).unwrap_or(anchored_us);
        if next_us > anchored_us + DRIFT_US_MAX {
            return Placed::LeftOut;
        }
        let behind_us = anchored_us.saturating_sub(next_us);
        let silent = if behind_us > DRIFT_US_MAX { behind_us / SILENCE_US } else { 0 };
        self.next_us = Some(next_us + silent * SILENCE_US + duration_us);
        Placed::Sent { captured_us: next_us, silent: u32::try_from(silent).unwrap_or(u32::MAX) }
    }
}

/// When live sound was captured: the least delayed arrival tells, less what the encoder always holds.
#[derive(Debug, Default)]
pub(crate) struct LiveAnchor(Anchor);

/// The Ogg muxer gives a page when it has the next.
const HELD_US: u64 = 20_000;

impl LiveAnchor {
    /// When the packet was captured that ends `end_us` after the encoder began, plays for `duration_us`, and arrived at `now_us`.
    pub(crate) fn captured_us(&mut self, end_us: u64, duration_us: u64, now_us: u64) -> u64 {
        self.0.arrived(end_us, now_us.saturating_sub(HELD_US)).saturating_sub(duration_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: u64 = 1_795_000_000_000_000;

    /// Packet `n`, captured `error_us` away from where the count says.
    fn place(clock: &mut SoundClock, n: u64, error_us: i64) -> Placed {
        let captured_us = (NOW_US + n * 20_000).saturating_add_signed(error_us);
        clock.place(captured_us, 20_000, NOW_US + n * 20_000 + 25_000)
    }

    fn sent(n: u64, silent: u32) -> Placed {
        Placed::Sent { captured_us: NOW_US + n * 20_000, silent }
    }

    #[test]
    fn packets_follow_one_another_without_gaps() {
        let mut clock = SoundClock::default();
        (0..20).for_each(|n| assert_eq!(place(&mut clock, n, 5_000), Placed::LeftOut, "{n}"));
        assert_eq!(place(&mut clock, 20, 0), sent(20, 0));
        assert_eq!(place(&mut clock, 21, 90_000), sent(21, 0));
        assert_eq!(place(&mut clock, 22, -90_000), sent(22, 0));
    }

    #[test]
    fn lost_sound_becomes_silence() {
        let mut clock = SoundClock::default();
        (0..30).for_each(|n| _ = place(&mut clock, n, 0));
        assert_eq!(place(&mut clock, 30, 400_000), sent(30, 20));
        assert_eq!(place(&mut clock, 31, 400_000), sent(51, 0));
    }

    #[test]
    fn hours_of_sleep_are_not_filled_with_silence() {
        let mut clock = SoundClock::default();
        (0..30).for_each(|n| _ = place(&mut clock, n, 0));
        let hours_us = 8 * 3_600 * 1_000_000;
        assert_eq!(place(&mut clock, 30, hours_us), sent(30 + 8 * 3_600 * 50, 0));
    }

    #[test]
    fn sound_that_runs_ahead_is_left_out() {
        let mut clock = SoundClock::default();
        (0..30).for_each(|n| _ = place(&mut clock, n, 0));
        assert_eq!(place(&mut clock, 30, -200_000), Placed::LeftOut);
        assert_eq!(place(&mut clock, 31, -130_000), sent(30, 0));
    }

    #[test]
    fn live_sound_is_as_old_as_its_packet_and_the_page_that_was_held() {
        assert_eq!(LiveAnchor::default().captured_us(20_000, 20_000, NOW_US), NOW_US - 40_000);
    }
}
