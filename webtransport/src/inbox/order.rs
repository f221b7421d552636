//! The order of the segments of each track, which come on streams that know nothing of each other. Pure.

use std::collections::BTreeMap;

use protocol::{
    TrackNumber,
    limits::{SEGMENT_STALL_TIME_MAX, SEGMENTS_UNDER_WAY_MAX},
};
use tokio::time::Instant;

/// Names a stream.
pub(super) type StreamKey = u64;

/// Which segment, in the order that they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// When the init segment was captured: behind a newer one numbers may begin anew.
    pub(super) init_captured_at_us: u64,
    pub(super) number: u32,
}

/// What is to be done with a stream whose segment has become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read it.
    Read,
    /// Wait: an older one is read.
    Wait,
    /// Stop it: a newer one was read already.
    Late,
}

/// A segment that is read no more, for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// Stop this one.
    pub(super) stop: Option<StreamKey>,
    /// Read this one.
    pub(super) read: Option<StreamKey>,
}

/// All tracks.
#[derive(Debug)]
pub(super) struct Order(BTreeMap<TrackNumber, Track>);

#[derive(Debug, Default)]
struct Track {
    current: Option<StreamKey>,
    /// The newest segment that was ever read.
    newest: Option<Segment>,
    /// Newer ones, each with the time it came.
    waiting: BTreeMap<Segment, (StreamKey, Instant)>,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How many tracks there are.
    pub(super) fn tracks(&self) -> usize {
        self.0.len()
    }

    pub(super) fn knows(&self, track: TrackNumber) -> bool {
        self.0.contains_key(&track)
    }

    /// The stream `key` has `segment` of `track`.
    pub(super) fn begin(&mut self, track: TrackNumber, segment: Segment, key: StreamKey, now: Instant) -> Verdict {
        let track = self.0.entry(track).or_default();
        if track.newest.is_some_and(|newest| segment <= newest) || track.waiting.contains_key(&segment) {
            return Verdict::Late;
        }
        if track.current.is_none() {
            (track.current, track.newest) = (Some(key), Some(segment));
            return Verdict::Read;
        }
        track.waiting.insert(segment, (key, now));
        Verdict::Wait
    }

    /// The stream `key` has ended, of whatever segment: what is to be read in its place.
    pub(super) fn end(&mut self, key: StreamKey) -> Option<StreamKey> {
        for track in self.0.values_mut() {
            if track.current == Some(key) {
                return track.go_on();
            }
            track.waiting.retain(|_, (waiting, _)| *waiting != key);
        }
        None
    }

    /// Another sender of this track begins, whose numbers may be any. What is read of the one before was ended.
    pub(super) fn begin_again(&mut self, track: TrackNumber) {
        if let Some(track) = self.0.get_mut(&track).filter(|track| track.current.is_none()) {
            track.newest = None;
        }
    }

    /// A track on which segments have waited for too long, or too many of them, for the one that is read: what to do. To be asked until
    /// there is none.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Change> {
        let track = self.0.values_mut().find(|track| track.due_at().is_some_and(|due_at| due_at <= now))?;
        let stop = track.current;
        Some(Change { stop, read: track.go_on() })
    }

    /// When [`Self::overdue`] is to be asked.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.0.values().filter_map(Track::due_at).min()
    }
}

impl Track {
    /// The oldest of those that wait is read from now on.
    fn go_on(&mut self) -> Option<StreamKey> {
        let next = self.waiting.pop_first();
        self.current = next.map(|(_, (key, _))| key);
        self.newest = next.map_or(self.newest, |(segment, _)| Some(segment));
        self.current
    }

    /// When the segment that is read has been waited for long enough.
    fn due_at(&self) -> Option<Instant> {
        let came_at = self.waiting.values().map(|(_, came_at)| *came_at);
        if self.waiting.len() >= SEGMENTS_UNDER_WAY_MAX {
            return came_at.min();
        }
        came_at.min().map(|came_at| came_at + SEGMENT_STALL_TIME_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PICTURE: TrackNumber = TrackNumber(1);

    fn segment(number: u32) -> Segment {
        Segment { init_captured_at_us: 1, number }
    }

    #[test]
    fn segments_are_read_one_after_the_other() {
        let (mut order, now) = (Order::new(), Instant::now());
        assert_eq!(order.begin(PICTURE, segment(5), 50, now), Verdict::Read);
        assert_eq!(order.begin(PICTURE, segment(7), 70, now), Verdict::Wait);
        assert_eq!(order.begin(PICTURE, segment(6), 60, now), Verdict::Wait);
        assert_eq!(order.end(50), Some(60));
        assert_eq!(order.end(60), Some(70));
        assert_eq!(order.end(70), None);
        assert_eq!(order.begin(PICTURE, segment(8), 80, now), Verdict::Read);
    }

    #[test]
    fn tracks_do_not_wait_for_each_other() {
        let (mut order, now) = (Order::new(), Instant::now());
        assert_eq!(order.begin(PICTURE, segment(5), 50, now), Verdict::Read);
        assert_eq!(order.begin(TrackNumber(2), segment(90), 90, now), Verdict::Read);
    }

    #[test]
    fn segment_that_was_passed_or_is_there_twice_is_late() {
        let (mut order, now) = (Order::new(), Instant::now());
        order.begin(PICTURE, segment(5), 50, now);
        order.begin(PICTURE, segment(6), 60, now);
        for number in [4, 5, 6] {
            assert_eq!(order.begin(PICTURE, segment(number), 99, now), Verdict::Late, "{number}");
        }
        order.end(50);
        order.end(60);
        assert_eq!(order.begin(PICTURE, segment(6), 61, now), Verdict::Late);
    }

    #[test]
    fn stalled_segment_is_given_up_once_its_successor_has_waited() {
        let (mut order, now) = (Order::new(), Instant::now());
        order.begin(PICTURE, segment(5), 50, now);
        assert_eq!(order.due_at(), None, "nobody waits for it");
        order.begin(PICTURE, segment(6), 60, now);
        let due_at = now + SEGMENT_STALL_TIME_MAX;
        assert_eq!((order.due_at(), order.overdue(due_at - Duration::from_millis(1))), (Some(due_at), None));
        assert_eq!(order.overdue(due_at), Some(Change { stop: Some(50), read: Some(60) }));
        assert_eq!((order.overdue(due_at), order.end(50)), (None, None));
    }

    #[test]
    fn waiting_segment_that_ends_is_waited_for_no_more() {
        let (mut order, now) = (Order::new(), Instant::now());
        order.begin(PICTURE, segment(5), 50, now);
        order.begin(PICTURE, segment(6), 60, now);
        assert_eq!((order.end(60), order.due_at()), (None, None));
    }

    #[test]
    fn too_many_waiting_segments_push_the_oldest_out_at_once() {
        let (mut order, now) = (Order::new(), Instant::now());
        for number in 0..=SEGMENTS_UNDER_WAY_MAX as u32 {
            order.begin(PICTURE, segment(number), number.into(), now);
        }
        assert_eq!(order.overdue(now), Some(Change { stop: Some(0), read: Some(1) }));
        assert_eq!(order.overdue(now), None);
    }

    #[test]
    fn newer_init_segment_begins_anew_whatever_its_numbers() {
        let (mut order, now) = (Order::new(), Instant::now());
        order.begin(PICTURE, segment(500), 50, now);
        let anew = Segment { init_captured_at_us: 2, number: 0 };
        assert_eq!(order.begin(PICTURE, anew, 1, now), Verdict::Wait);
        assert_eq!(order.end(50), Some(1));
        assert_eq!(order.begin(PICTURE, segment(501), 51, now), Verdict::Late, "of before");
    }

    #[test]
    fn numbers_of_another_sender_may_be_any() {
        let (mut order, now) = (Order::new(), Instant::now());
        order.begin(PICTURE, segment(500), 50, now);
        order.end(50);
        order.begin_again(PICTURE);
        assert_eq!(order.begin(PICTURE, segment(0), 1, now), Verdict::Read);
        order.begin_again(PICTURE);
        assert_eq!(order.begin(PICTURE, segment(0), 2, now), Verdict::Late, "the other sender's is read already");
    }

    proptest! {
        #[test]
        fn whatever_comes_what_is_read_goes_up_and_waiting_is_bounded(
            events in proptest::collection::vec((0_u32..12, 0_u8..4, 0_u64..300), 1..80),
        ) {
            let (mut order, mut now, mut key) = (Order::new(), Instant::now(), 0);
            let (mut numbers, mut read) = (BTreeMap::new(), Vec::new());
            for (number, what, pause_ms) in events {
                now += Duration::from_millis(pause_ms);
                key += 1;
                if what == 0 {
                    let begun = read.last().copied();
                    read.extend(begun.and_then(|begun| order.end(begun)));
                } else {
                    numbers.insert(key, number);
                    if order.begin(PICTURE, segment(number), key, now) == Verdict::Read { read.push(key) }
                }
                while let Some(change) = order.overdue(now) { read.extend(change.read) }
                prop_assert!(order.0.values().all(|track| track.waiting.len() < SEGMENTS_UNDER_WAY_MAX));
            }
            let order_read: Vec<_> = read.iter().map(|key| numbers[key]).collect();
            prop_assert!(order_read.is_sorted_by(|a, b| a < b), "{order_read:?}");
        }
    }
}
