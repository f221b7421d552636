//! What waits to be sent. Bounded: when the uplink is behind, whole segments are left out, never is the encoder held up.
//!
//! It also keeps what was sent of the current segment, so that a new connection begins at the newest key frame at once.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::{TrackNumber, limits::SEGMENT_BEHIND_TIME_MAX};

use crate::package::packager::OutgoingChunk;

/// Most bytes that wait: 5 s at the highest bitrate offered.
const WAITING_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Longest time that waits, in microseconds: a viewer further behind than this jumps anyway.
const WAITING_TIME_US_MAX: u64 = 1_500_000;

/// What waits for less than this, in microseconds, is sent although the line is slow: a frame or two, and their sound.
const WORTH_SENDING_US: u64 = 150_000;

/// Where each segment travels apart from the others, what has waited for this long when a key frame comes, in microseconds, is left
/// out for it: the key frame then waits for nothing at all.
const OVERTAKEN_TIME_US: u64 = SEGMENT_BEHIND_TIME_MAX.as_micros() as u64;

/// What a connection is to send next.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// The message with the chunk's init segment, where that goes before it.
    pub(crate) init: Option<Bytes>,
    /// The chunk.
    pub(crate) chunk: OutgoingChunk,
}

impl Next {
    /// The messages, in their order.
    pub(crate) fn messages(self) -> impl Iterator<Item = Bytes> {
        self.init.into_iter().chain([self.chunk.message])
    }
}

/// What was left out since the broadcast began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Chunks of the picture (of the sound, when there is no picture).
    pub(crate) frames: u64,
    /// Segments that lost chunks.
    pub(crate) segments: u64,
}

/// Chunks in the order of their making, the first `sent` of which went out on the present connection.
#[derive(Debug, Clone)]
pub(crate) struct UplinkQueue {
    leading: TrackNumber,
    chunks: VecDeque<OutgoingChunk>,
    sent: usize,
    waiting_bytes: usize,
    kept_bytes: usize,
    inits_sent: BTreeMap<TrackNumber, Bytes>,
    tracks: Vec<TrackNumber>,
    /// Segments travel apart from each other on the present connection.
    segments_apart: bool,
    wants_cut: bool,
    /// What belongs to an earlier segment needs something that was left out.
    segment_first: u32,
    dropped: Dropped,
    segment_dropped_last: Option<u32>,
}

impl UplinkQueue {
    /// A queue for a broadcast whose segments are cut by `leading`.
    pub(crate) const fn new(leading: TrackNumber) -> Self {
        Self {
            leading,
            chunks: VecDeque::new(),
            sent: 0,
            waiting_bytes: 0,
            kept_bytes: 0,
            inits_sent: BTreeMap::new(),
            tracks: Vec::new(),
            segments_apart: false,
            wants_cut: true,
            segment_first: 0,
            dropped: Dropped { frames: 0, segments: 0 },
            segment_dropped_last: None,
        }
    }

    /// A chunk was made.
    pub(crate) fn push(&mut self, chunk: OutgoingChunk) {
        let cut = chunk.cut;
        if cut {
            if std::mem::take(&mut self.wants_cut) {
                self.segment_first = chunk.segment;
            }
            self.forget(self.sent);
        } else if self.wants_cut {
            self.count_dropped(&chunk);
            return;
        }
        self.waiting_bytes += chunk.message.len();
        self.kept_bytes += chunk.message.len();
        self.chunks.push_back(chunk);
        let overtakes = cut && self.segments_apart && self.waits_us() > OVERTAKEN_TIME_US;
        if overtakes || self.is_behind() {
            self.catch_up();
        }
        if self.kept_bytes > 2 * WAITING_BYTES_MAX {
            self.forget(self.sent); // a segment without end: a new connection waits for the next
        }
    }

    /// What is to be sent next on the present connection.
    pub(crate) fn next(&mut self) -> Option<Next> {
        while let Some(chunk) = self.chunks.get(self.sent)
            && (!self.tracks.contains(&chunk.track) || chunk.segment < self.segment_first)
        {
            self.waiting_bytes -= chunk.message.len();
            self.sent += 1;
        }
        let chunk = self.chunks.get(self.sent)?.clone();
        let is_known = self.inits_sent.get(&chunk.track) == Some(&chunk.init);
        let init = (!is_known).then(|| chunk.init.clone());
        if let Some(init) = &init {
            self.inits_sent.insert(chunk.track, init.clone());
        }
        self.sent += 1;
        self.waiting_bytes -= chunk.message.len();
        Some(Next { init, chunk })
    }

    /// What is under way of segments before this one is of no use any more.
    pub(crate) const fn segment_first(&self) -> u32 {
        self.segment_first
    }

    /// So many chunks of a track, which had been given out, were not sent after all.
    pub(crate) fn lost(&mut self, track: TrackNumber, chunks: u64) {
        if track == self.leading && chunks > 0 {
            self.dropped.frames += chunks;
            self.dropped.segments += 1;
        }
    }

    /// A new connection, on which these tracks are registered: init segments and the current segment again. `segments_apart`: they do
    /// not wait for each other on it.
    pub(crate) fn begin_connection(&mut self, tracks: Vec<TrackNumber>, segments_apart: bool) {
        self.tracks = tracks;
        self.segments_apart = segments_apart;
        self.inits_sent.clear();
        match self.newest_cut() {
            Some(cut) => {
                self.segment_first = self.chunks[cut].segment;
                self.drop_before(cut);
            }
            None => {
                self.drop_before(self.chunks.len());
                self.wants_cut = true;
            }
        }
        self.sent = 0;
        self.waiting_bytes = self.kept_bytes;
    }

    /// What was left out so far.
    pub(crate) const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// A key frame follows. What waits for long is left out, so that it goes out at once.
    pub(crate) fn leave_out_what_waits(&mut self) {
        if self.waits_us() > WORTH_SENDING_US {
            self.leave_out();
        }
    }

    fn waits_us(&self) -> u64 {
        match (self.chunks.get(self.sent), self.chunks.back()) {
            (Some(oldest), Some(newest)) => newest.time_us.saturating_sub(oldest.time_us),
            _ => 0,
        }
    }

    fn is_behind(&self) -> bool {
        self.waiting_bytes > WAITING_BYTES_MAX || self.waits_us() > WAITING_TIME_US_MAX
    }

    /// Goes on at the newest key frame, or waits for the next when that one was sent already.
    fn catch_up(&mut self) {
        match self.newest_cut() {
            Some(cut) if cut > self.sent => {
                self.segment_first = self.chunks[cut].segment;
                self.drop_before(cut);
            }
            Some(cut) if cut == self.sent && self.waiting_bytes <= WAITING_BYTES_MAX => {}
            _ => self.leave_out(),
        }
    }

    /// Removes all that was not sent.
    fn leave_out(&mut self) {
        while self.chunks.len() > self.sent {
            if let Some(chunk) = self.chunks.pop_back() {
                self.kept_bytes -= chunk.message.len();
                self.waiting_bytes -= chunk.message.len();
                self.count_dropped(&chunk);
            }
        }
        self.wants_cut = true;
    }

    fn newest_cut(&self) -> Option<usize> {
        self.chunks.iter().rposition(|chunk| chunk.cut)
    }

    /// Removes the first `count`, which may have been sent or not.
    fn drop_before(&mut self, count: usize) {
        let sent = self.sent.min(count);
        self.forget(sent);
        for chunk in self.chunks.drain(..count - sent).collect::<Vec<_>>() {
            self.kept_bytes -= chunk.message.len();
            self.waiting_bytes -= chunk.message.len();
            self.count_dropped(&chunk);
        }
    }

    /// Removes the first `count`, which were sent.
    fn forget(&mut self, count: usize) {
        self.kept_bytes -= self.chunks.drain(..count).map(|chunk| chunk.message.len()).sum::<usize>();
        self.sent -= count;
    }

    fn count_dropped(&mut self, chunk: &OutgoingChunk) {
        if chunk.track != self.leading || chunk.segment == 0 {
            return;
        }
        self.dropped.frames += 1;
        if self.segment_dropped_last != Some(chunk.segment) {
            self.segment_dropped_last = Some(chunk.segment);
            self.dropped.segments += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::packager::{PICTURE_TRACK, SMALL_PICTURE_TRACK, SOUND_TRACK};
    use proptest::prelude::*;

    const FRAME_US: u64 = 33_000;

    /// Frame number `n` of a stream with a key frame every 60, and its sound packet.
    fn chunk(n: u64, track: TrackNumber, bytes: usize) -> OutgoingChunk {
        OutgoingChunk {
            message: format!("{track}:{}{n}", "0".repeat(bytes - 1)).into(),
            init: format!("init {track}").into(),
            track,
            segment: u32::try_from(n / 60 + 1).unwrap(),
            cut: track == PICTURE_TRACK && n.is_multiple_of(60),
            time_us: n * FRAME_US,
        }
    }

    const BOTH: [TrackNumber; 2] = [PICTURE_TRACK, SOUND_TRACK];

    fn queue() -> UplinkQueue {
        let mut queue = UplinkQueue::new(PICTURE_TRACK);
        queue.begin_connection(BOTH.to_vec(), false);
        queue
    }

    fn frame(n: u64) -> OutgoingChunk {
        chunk(n, PICTURE_TRACK, 1)
    }

    fn sent(queue: &mut UplinkQueue) -> Vec<String> {
        let messages = std::iter::from_fn(|| queue.next()).flat_map(Next::messages);
        messages.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).collect()
    }

    #[test]
    fn init_segments_go_before_what_needs_them() {
        let mut queue = queue();
        queue.push(frame(0));
        queue.push(chunk(0, SOUND_TRACK, 1));
        queue.push(frame(1));
        assert_eq!(sent(&mut queue), ["init 1", "1:0", "init 2", "2:0", "1:1"]);
        queue.push(OutgoingChunk { init: "changed".into(), ..frame(60) });
        assert_eq!(sent(&mut queue), ["changed", "1:60"]);
    }

    #[test]
    fn tracks_that_the_relay_does_not_know_are_kept_from_it() {
        let mut queue = queue();
        queue.begin_connection(vec![PICTURE_TRACK], false);
        queue.push(frame(0));
        queue.push(chunk(0, SOUND_TRACK, 1));
        queue.push(frame(1));
        assert_eq!(sent(&mut queue), ["init 1", "1:0", "1:1"]);
    }

    #[test]
    fn new_connection_begins_at_the_newest_key_frame() {
        let mut queue = queue();
        (0..70).for_each(|n| {
            queue.push(frame(n));
            sent(&mut queue);
        });
        queue.push(frame(70));
        queue.begin_connection(BOTH.to_vec(), false);
        let again = sent(&mut queue);
        assert_eq!((again[0].as_str(), again[1].as_str(), again.len()), ("init 1", "1:60", 12));
        assert_eq!(queue.dropped(), Dropped::default());
    }

    #[test]
    fn uplink_that_is_behind_loses_whole_segments() {
        let mut queue = queue();
        queue.push(frame(0));
        assert_eq!(sent(&mut queue), ["init 1", "1:0"]);
        (1..61).for_each(|n| queue.push(frame(n)));
        // The rest of the first segment was left out when it was 1.5 s old; the next begins with its key frame.
        assert_eq!(sent(&mut queue), ["1:60"]);
        assert_eq!(queue.dropped(), Dropped { frames: 59, segments: 1 });
    }

    #[test]
    fn what_waits_is_left_out_for_a_key_frame_that_follows() {
        let mut queue = queue();
        (0..10).for_each(|n| queue.push(frame(n)));
        sent(&mut queue);
        (10..13).for_each(|n| queue.push(frame(n)));
        queue.leave_out_what_waits();
        assert_eq!(sent(&mut queue).len(), 3, "a few frames are worth sending");
        (13..40).for_each(|n| queue.push(frame(n)));
        queue.leave_out_what_waits();
        queue.push(frame(40));
        assert!(sent(&mut queue).is_empty());
        queue.push(frame(60));
        assert_eq!(sent(&mut queue), ["1:60"]);
        assert_eq!(queue.dropped(), Dropped { frames: 28, segments: 1 });
    }

    #[test]
    fn rest_of_an_earlier_segment_is_kept_from_a_connection_that_begins_behind_it() {
        let mut queue = queue();
        let late = |n: u64| OutgoingChunk { segment: 1, ..chunk(n, SMALL_PICTURE_TRACK, 1) };
        let all = [PICTURE_TRACK, SMALL_PICTURE_TRACK].to_vec();
        queue.begin_connection(all.clone(), false);
        queue.push(frame(0));
        assert_eq!(sent(&mut queue), ["init 1", "1:0"]);
        queue.push(frame(60));
        queue.push(late(59));
        queue.push(chunk(60, SMALL_PICTURE_TRACK, 1));
        assert_eq!(sent(&mut queue), ["1:60", "init 3", "3:59", "3:60"]);
        queue.begin_connection(all, false);
        assert_eq!(sent(&mut queue), ["init 1", "1:60", "init 3", "3:60"]);
    }

    #[test]
    fn key_frame_overtakes_what_waits_where_segments_travel_apart() {
        for (apart, waiting) in [(true, 10), (true, 20), (false, 20)] {
            let mut queue = queue();
            queue.begin_connection(BOTH.to_vec(), apart);
            (0..60 - waiting).for_each(|n| queue.push(frame(n)));
            sent(&mut queue);
            assert_eq!(queue.segment_first(), 1);
            (60 - waiting..61).for_each(|n| queue.push(frame(n)));
            let next = queue.next().unwrap();
            if apart && waiting == 20 {
                assert_eq!((next.chunk.segment, queue.segment_first()), (2, 2));
                assert_eq!(queue.dropped(), Dropped { frames: waiting, segments: 1 });
            } else {
                assert_eq!((next.chunk.segment, queue.segment_first(), queue.dropped().frames), (1, 1, 0));
            }
        }
    }

    #[test]
    fn what_was_given_out_and_not_sent_counts_as_left_out() {
        let mut queue = queue();
        queue.lost(PICTURE_TRACK, 0);
        queue.lost(SOUND_TRACK, 3);
        queue.lost(PICTURE_TRACK, 3);
        assert_eq!(queue.dropped(), Dropped { frames: 3, segments: 1 });
    }

    #[test]
    fn nobody_connected_keeps_no_more_than_the_current_segment() {
        let mut queue = queue();
        (0..1_000).for_each(|n| queue.push(frame(n)));
        queue.begin_connection(BOTH.to_vec(), false);
        assert_eq!(sent(&mut queue)[1], "1:960");
        assert_eq!(queue.dropped(), Dropped { frames: 960, segments: 16 });
    }

    #[test]
    fn too_many_bytes_are_left_out_although_they_are_young() {
        let mut queue = queue();
        queue.push(chunk(0, PICTURE_TRACK, WAITING_BYTES_MAX));
        queue.push(frame(1));
        assert!(sent(&mut queue).is_empty());
        queue.push(frame(60));
        assert_eq!(sent(&mut queue), ["init 1", "1:60"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_goes_out_is_decodable_and_bounded(steps in proptest::collection::vec((0_u8..10, 1_usize..600_000), 1..80)) {
            let mut queue = queue();
            let (mut n, mut newest): (u64, Option<u64>) = (0, None);
            for (step, bytes) in steps {
                match step {
                    0 => { queue.begin_connection(BOTH.to_vec(), false); newest = None; }
                    1..=3 => while let Some(next) = queue.next() {
                        let text = String::from_utf8(next.chunk.message.to_vec()).unwrap();
                        let number = text.strip_prefix("1:").unwrap();
                        let number: u64 = number.trim_start_matches('0').parse().unwrap_or(0);
                        let follows = newest.is_some_and(|newest| newest + 1 == number);
                        prop_assert!(follows || number.is_multiple_of(10), "{number} after {newest:?}");
                        newest = Some(number);
                    },
                    _ => {
                        queue.push(OutgoingChunk { cut: n.is_multiple_of(10), ..chunk(n, PICTURE_TRACK, bytes) });
                        n += 1;
                    }
                }
                prop_assert!(queue.kept_bytes <= 2 * WAITING_BYTES_MAX + 600_000);
            }
        }
    }
}
