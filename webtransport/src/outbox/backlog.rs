//! What waits to be sent of one track, and what of it is of no use any more. Pure.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use protocol::limits::SEGMENT_BEHIND_TIME_MAX;
use tokio::time::Instant;

/// One chunk that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) segment: Segment,
    /// Its segment begins with it.
    pub(super) key: bool,
    /// The init segment of its track.
    pub(super) init: Bytes,
    pub(super) chunk: Bytes,
    /// When it came to whoever sends it.
    pub(super) arrived: Instant,
}

/// Which segment, in the order that they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// Counts the init segments of the track: numbers may begin anew behind one.
    pub(super) era: u32,
    pub(super) number: u32,
}

/// Chunks of one track in their order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    chunks: VecDeque<Waiting>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.chunk.len();
        self.chunks.push_back(waiting);
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.chunks.front()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.chunks.pop_front()?;
        self.bytes -= waiting.chunk.len();
        Some(waiting)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves out what stands before the newest key frame, when the first that waits has waited for too long; how many chunks that
    /// are. Zero when there is no newer key frame: what is late is better than nothing then.
    pub(super) fn give_up_late(&mut self, now: Instant) -> u64 {
        let is_late = |waiting: &Waiting| now.saturating_duration_since(waiting.arrived) > SEGMENT_BEHIND_TIME_MAX;
        if !self.chunks.front().is_some_and(is_late) {
            return 0;
        }
        let newest_key = self.chunks.iter().rposition(|waiting| waiting.key).unwrap_or(0);
        self.leave_out(newest_key)
    }

    /// Leaves out what is left of `segment`; how many chunks that are.
    pub(super) fn leave_out_segment(&mut self, segment: Segment) -> u64 {
        let rest = self.chunks.iter().take_while(|waiting| waiting.segment == segment).count();
        self.leave_out(rest)
    }

    fn leave_out(&mut self, count: usize) -> u64 {
        for waiting in self.chunks.drain(..count) {
            self.bytes -= waiting.chunk.len();
        }
        count as u64
    }

    /// How long the first that waits has waited.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.front().map_or(Duration::ZERO, |waiting| now.saturating_duration_since(waiting.arrived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    /// Segments of so many frames each, one frame every 33 ms.
    fn backlog(begun: Instant, frames_of_segments: &[u32]) -> Backlog {
        let mut backlog = Backlog::default();
        let mut arrived = begun;
        for (number, frames) in (5..).zip(frames_of_segments) {
            for frame in 0..*frames {
                let segment = Segment { era: 1, number };
                let chunk = Bytes::from_static(b"chunk");
                backlog.push(Waiting { segment, key: frame == 0, init: Bytes::new(), chunk, arrived });
                arrived += FRAME;
            }
        }
        backlog
    }

    fn front(backlog: &Backlog) -> Option<(u32, bool)> {
        backlog.front().map(|waiting| (waiting.segment.number, waiting.key))
    }

    #[test]
    fn one_who_is_in_time_is_left_in_peace() {
        let begun = Instant::now();
        let mut backlog = backlog(begun, &[3, 3]);
        assert_eq!(backlog.give_up_late(begun + SEGMENT_BEHIND_TIME_MAX), 0);
        assert_eq!(front(&backlog), Some((5, true)));
    }

    #[test]
    fn one_who_is_late_goes_on_at_the_newest_key_frame() {
        let begun = Instant::now();
        let mut backlog = backlog(begun, &[6, 5, 2]);
        backlog.pop();
        assert_eq!(backlog.give_up_late(begun + Duration::from_secs(1)), 10);
        assert_eq!((front(&backlog), backlog.bytes()), (Some((7, true)), 2 * "chunk".len()));
        assert_eq!(backlog.give_up_late(begun + Duration::from_secs(9)), 0, "there is none newer");
    }

    #[test]
    fn one_who_is_late_without_a_newer_key_frame_is_sent_what_there_is() {
        let begun = Instant::now();
        let mut backlog = backlog(begun, &[6]);
        backlog.pop();
        assert_eq!(backlog.give_up_late(begun + Duration::from_secs(1)), 0);
        assert_eq!(backlog.age(begun + Duration::from_secs(1)), Duration::from_secs(1) - FRAME);
    }

    #[test]
    fn rest_of_a_segment_that_the_reader_gave_up_is_left_out() {
        let mut backlog = backlog(Instant::now(), &[3, 2]);
        backlog.pop();
        assert_eq!(backlog.leave_out_segment(Segment { era: 1, number: 5 }), 2);
        assert_eq!(front(&backlog), Some((6, true)));
        assert_eq!(backlog.leave_out_segment(Segment { era: 1, number: 5 }), 0);
    }
}
