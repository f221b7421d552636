//! What was handed to the window and is not acknowledged yet, and what to leave out when that is too much: everything of a track
//! up to its next key frame, as a relay does for a slow viewer. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use protocol::{MediaHeader, MediaKind, TrackNumber};

/// Bytes under way above which chunks are left out: over a second of a rich stream, and at least one large key frame.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Messages under way above which chunks are left out: several seconds of picture and sound.
const MESSAGES_MAX: usize = 512;

/// A window that has not taken a message for this long is behind.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The window acknowledges every 8 messages; with fewer than two such groups under way, an old message says nothing.
const AGE_COUNTS_FROM: usize = 16;

/// A window that has not taken a message for this long reads no more.
const STUCK_TIME: Duration = Duration::from_secs(30);

/// Bytes under way (init segments and words are never left out) at which a window reads no more.
const STUCK_BYTES: usize = 8 * BYTES_MAX;

/// What to do with a media message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it on.
    Pass,
    /// Say what was left out of the track, then hand it on.
    PassAfterSkip {
        /// The track.
        track: TrackNumber,
        /// How many chunks were left out.
        chunks: u64,
    },
    /// Leave it out.
    LeaveOut,
}

/// Counts what is under way.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    acknowledged: u64,
    under_way: VecDeque<(Instant, usize)>,
    bytes: usize,
    /// Tracks that wait for their next key frame, with the chunks left out so far.
    waiting: HashMap<TrackNumber, u64>,
    skipped: u64,
}

impl InFlight {
    /// Decides about a media message that came in at `now`. What passes is then told to [`Self::passed`].
    pub(super) fn offer(&mut self, now: Instant, message: &[u8]) -> Verdict {
        let Ok((header, _)) = MediaHeader::decode(message) else {
            return Verdict::LeaveOut; // of a kind that a later version has: viewers ignore it
        };
        if header.kind == MediaKind::Init {
            return Verdict::Pass;
        }
        let track = header.track;
        let behind = self.is_behind(now);
        match self.waiting.get(&track) {
            None if !behind => return Verdict::Pass,
            Some(&chunks) if header.key && !behind => {
                self.waiting.remove(&track);
                return Verdict::PassAfterSkip { track, chunks };
            }
            _ => {}
        }
        *self.waiting.entry(track).or_default() += 1;
        self.skipped += 1;
        Verdict::LeaveOut
    }

    /// A message of `bytes` went to the window.
    pub(super) fn passed(&mut self, now: Instant, bytes: usize) {
        self.under_way.push_back((now, bytes));
        self.bytes += bytes;
    }

    /// The window has taken `messages` in all.
    pub(super) fn acknowledge(&mut self, messages: u64) {
        while self.acknowledged < messages {
            let Some((_, bytes)) = self.under_way.pop_front() else { return };
            self.acknowledged += 1;
            self.bytes -= bytes;
        }
    }

    /// Whether the window takes nothing any more.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        self.bytes > STUCK_BYTES || (self.under_way.len() >= AGE_COUNTS_FROM && self.age(now) > STUCK_TIME)
    }

    /// Chunks left out so far.
    pub(super) const fn skipped_chunks(&self) -> u64 {
        self.skipped
    }

    fn is_behind(&self, now: Instant) -> bool {
        let count = self.under_way.len();
        self.bytes > BYTES_MAX || count > MESSAGES_MAX || (count >= AGE_COUNTS_FROM && self.age(now) > AGE_MAX)
    }

    fn age(&self, now: Instant) -> Duration {
        self.under_way.front().map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PICTURE: TrackNumber = TrackNumber(0);
    const SOUND: TrackNumber = TrackNumber(1);

    fn message(kind: MediaKind, key: bool, track: TrackNumber, bytes: usize) -> Vec<u8> {
        let header = MediaHeader { kind, key, sealed: false, track, segment: 0, chunk: 0, captured_at_us: 0 };
        header.message(&vec![0; bytes])
    }

    fn chunk(track: TrackNumber) -> Vec<u8> {
        message(MediaKind::Chunk, false, track, 1000)
    }

    fn key(track: TrackNumber) -> Vec<u8> {
        message(MediaKind::Chunk, true, track, 1000)
    }

    /// A window that was handed more than it may have under way.
    fn overfull(now: Instant) -> InFlight {
        let mut in_flight = InFlight::default();
        for _ in 0..3 {
            in_flight.passed(now, BYTES_MAX / 2);
        }
        in_flight
    }

    #[test]
    fn window_that_keeps_up_gets_everything() {
        let (mut in_flight, mut now) = (InFlight::default(), Instant::now());
        for count in 1..=1000_u64 {
            now += Duration::from_millis(33);
            assert_eq!(in_flight.offer(now, &chunk(PICTURE)), Verdict::Pass);
            in_flight.passed(now, 1020);
            if count % 8 == 0 {
                in_flight.acknowledge(count);
            }
        }
        assert_eq!(in_flight.skipped_chunks(), 0);
    }

    #[test]
    fn slow_stream_is_not_taken_for_a_slow_window() {
        let (mut in_flight, mut now) = (InFlight::default(), Instant::now());
        for _ in 0..8 {
            now += Duration::from_secs(2);
            assert_eq!(in_flight.offer(now, &chunk(PICTURE)), Verdict::Pass);
            in_flight.passed(now, 1020);
        }
        assert!(!in_flight.is_stuck(now + STUCK_TIME));
    }

    #[test]
    fn slow_window_resumes_at_the_next_key_frame_of_each_track_and_is_told() {
        let now = Instant::now();
        let mut in_flight = overfull(now);
        assert_eq!(in_flight.offer(now, &chunk(PICTURE)), Verdict::LeaveOut);
        assert_eq!(in_flight.offer(now, &key(PICTURE)), Verdict::LeaveOut, "a key frame has no room either");
        assert_eq!(in_flight.offer(now, &key(SOUND)), Verdict::LeaveOut);
        in_flight.acknowledge(3);
        assert_eq!(in_flight.offer(now, &chunk(PICTURE)), Verdict::LeaveOut, "there is room, but no key frame");
        assert_eq!(in_flight.offer(now, &key(SOUND)), Verdict::PassAfterSkip { track: SOUND, chunks: 1 });
        assert_eq!(in_flight.offer(now, &key(PICTURE)), Verdict::PassAfterSkip { track: PICTURE, chunks: 3 });
        assert_eq!(in_flight.offer(now, &chunk(PICTURE)), Verdict::Pass);
        assert_eq!(in_flight.skipped_chunks(), 4);
    }

    #[test]
    fn window_that_took_nothing_for_a_second_is_behind() {
        let (mut in_flight, start) = (InFlight::default(), Instant::now());
        for _ in 0..AGE_COUNTS_FROM {
            in_flight.passed(start, 100);
        }
        assert_eq!(in_flight.offer(start + AGE_MAX, &chunk(PICTURE)), Verdict::Pass);
        assert_eq!(in_flight.offer(start + AGE_MAX * 2, &chunk(PICTURE)), Verdict::LeaveOut);
        assert!(in_flight.is_stuck(start + STUCK_TIME * 2));
    }

    #[test]
    fn init_segments_pass_and_unknown_kinds_do_not() {
        let now = Instant::now();
        let mut in_flight = overfull(now);
        assert_eq!(in_flight.offer(now, &message(MediaKind::Init, false, PICTURE, 600)), Verdict::Pass);
        let mut unknown = key(PICTURE);
        unknown[0] = 9;
        assert_eq!(InFlight::default().offer(now, &unknown), Verdict::LeaveOut);
    }

    #[test]
    fn acknowledging_more_than_was_sent_does_no_harm() {
        let mut in_flight = overfull(Instant::now());
        in_flight.acknowledge(u64::MAX);
        assert_eq!((in_flight.bytes, in_flight.under_way.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn media_under_way_stays_below_the_bound(steps in prop::collection::vec((any::<bool>(), 0..400_000_usize, 0..4_u64), 1..200)) {
            let (mut in_flight, now) = (InFlight::default(), Instant::now());
            let mut taken = 0;
            for (key, bytes, takes) in steps {
                let message = message(MediaKind::Chunk, key, PICTURE, bytes + 1);
                if in_flight.offer(now, &message) != Verdict::LeaveOut {
                    in_flight.passed(now, message.len());
                }
                prop_assert!(in_flight.bytes <= BYTES_MAX + 400_100);
                taken = (taken + takes).min(in_flight.acknowledged + in_flight.under_way.len() as u64);
                in_flight.acknowledge(taken);
            }
        }
    }
}
