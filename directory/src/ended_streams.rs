//! The streams that operators ended, for as long as their broadcasters hold records that would bring them back. Pure; outlives
//! restarts.

use protocol::{StreamId, limits::RECORD_TIME_MAX};
use serde::{Deserialize, Serialize};

use crate::state_file::State;

/// Most streams remembered: more than operators end in a day. The oldest is forgotten first.
const ENDED_MAX: usize = 10_000;

/// The streams, oldest end first, and when each ended in seconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndedStreams {
    ended: Vec<(StreamId, u64)>,
}

impl State for EndedStreams {
    const FILE_NAME: &'static str = "ended.json";
    const LOST_WITHOUT: &'static str = "which streams operators ended, so that their broadcasters may bring them back";
    const KEY: &'static str = "ended";

    fn merge(&mut self, other: &Self, now_s: u64) {
        self.ended.extend(other.ended.iter().copied());
        // Of one stream the later end counts, which is first here.
        self.ended.sort_unstable_by(|(one, at_s), (other, other_at_s)| (one, other_at_s).cmp(&(other, at_s)));
        self.ended.dedup_by_key(|(stream, _)| *stream);
        self.ended.sort_unstable_by_key(|(stream, at_s)| (*at_s, *stream));
        self.forget_old(now_s, 0);
    }
}

impl EndedStreams {
    pub(crate) fn insert(&mut self, stream: StreamId, now_s: u64) {
        self.ended.retain(|(ended, _)| *ended != stream);
        self.forget_old(now_s, 1);
        self.ended.push((stream, now_s));
    }

    /// Leaves room for `more`.
    fn forget_old(&mut self, now_s: u64, more: usize) {
        self.ended.retain(|(_, at_s)| now_s <= at_s.saturating_add(RECORD_TIME_MAX.as_secs()));
        let too_many = (self.ended.len() + more).saturating_sub(ENDED_MAX);
        self.ended.drain(..too_many);
    }

    pub(crate) fn contains(&self, stream: &StreamId) -> bool {
        self.ended.iter().any(|(ended, _)| ended == stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u64) -> StreamId {
        StreamId::of(&"demo".parse().unwrap(), number)
    }

    #[test]
    fn ended_streams_are_remembered_as_long_as_their_records_are_good() {
        let mut ended = EndedStreams::default();
        ended.insert(stream(1), 0);
        ended.insert(stream(2), RECORD_TIME_MAX.as_secs());
        assert!(ended.contains(&stream(1)) && ended.contains(&stream(2)));
        ended.insert(stream(3), RECORD_TIME_MAX.as_secs() + 1);
        assert!(!ended.contains(&stream(1)) && ended.contains(&stream(2)));
        let text = serde_json::to_string(&ended).unwrap();
        assert_eq!(serde_json::from_str::<EndedStreams>(&text).unwrap(), ended);
    }

    #[test]
    fn what_one_directory_ended_is_ended_at_all() {
        let (mut one, mut other) = (EndedStreams::default(), EndedStreams::default());
        one.insert(stream(1), 5);
        one.insert(stream(2), 6);
        other.insert(stream(3), 1);
        other.insert(stream(1), 7);
        let (mut ours, mut theirs) = (one.clone(), other.clone());
        ours.merge(&other, 8);
        theirs.merge(&one, 8);
        assert_eq!(ours, theirs);
        assert_eq!(ours.ended, [(stream(3), 1), (stream(2), 6), (stream(1), 7)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut ended = EndedStreams { ended: (0..ENDED_MAX as u64).map(|number| (stream(number), 5)).collect() };
        ended.insert(stream(u64::MAX), 6);
        assert_eq!(
            (ended.ended.len(), ended.contains(&stream(0)), ended.contains(&stream(1))),
            (ENDED_MAX, false, true)
        );
    }
}
