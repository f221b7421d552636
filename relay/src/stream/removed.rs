//! Viewers that broadcasters have removed: they are refused until their tickets have surely ended.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use protocol::{
    StreamId, ViewerId,
    limits::{DIRECTORY_AWAY_TIME_MAX, TICKET_TIME},
};
use tokio::time::Instant;

/// How long one is remembered: the ticket's time, and as long as it may count while the directory is away.
const REMEMBERED_TIME: Duration = TICKET_TIME.saturating_add(DIRECTORY_AWAY_TIME_MAX);

/// Most that are remembered of one stream: more than a broadcaster picks out by hand. Beyond it the oldest is forgotten, which the
/// directory still refuses.
const REMOVED_OF_STREAM_MAX: usize = 512;

/// Most streams of which any are remembered. Beyond it no more are, until others are forgotten.
const STREAMS_MAX: usize = 4096;

/// The removed viewers of all streams.
#[derive(Debug, Default)]
pub(super) struct Removed {
    streams: HashMap<StreamId, VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    viewer: ViewerId,
    until: Instant,
}

impl Removed {
    /// `viewer` is refused from `now` on; whether that is news.
    pub(super) fn insert(&mut self, stream: StreamId, viewer: ViewerId, now: Instant) -> bool {
        if self.contains(stream, viewer) {
            return false;
        }
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&stream) {
            return true;
        }
        let entries = self.streams.entry(stream).or_default();
        if entries.len() >= REMOVED_OF_STREAM_MAX {
            entries.pop_front();
        }
        entries.push_back(Entry { viewer, until: now + REMEMBERED_TIME });
        true
    }

    /// Whether `viewer` is refused.
    #[must_use]
    pub(super) fn contains(&self, stream: StreamId, viewer: ViewerId) -> bool {
        self.streams.get(&stream).is_some_and(|entries| entries.iter().any(|entry| entry.viewer == viewer))
    }

    /// Forgets those whose tickets have ended.
    pub(super) fn forget(&mut self, now: Instant) {
        self.streams.retain(|_, entries| {
            // The oldest come first.
            while entries.front().is_some_and(|entry| entry.until <= now) {
                entries.pop_front();
            }
            !entries.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u64) -> StreamId {
        StreamId::of(&"test".parse().unwrap(), number)
    }

    #[test]
    fn removed_viewer_is_refused_in_its_stream_until_its_ticket_has_ended() {
        let mut removed = Removed::default();
        let now = Instant::now();
        assert!(removed.insert(stream(1), ViewerId(1), now));
        assert!(!removed.insert(stream(1), ViewerId(1), now + TICKET_TIME));
        assert!(removed.contains(stream(1), ViewerId(1)));
        assert!(!removed.contains(stream(1), ViewerId(2)) && !removed.contains(stream(2), ViewerId(1)));
        removed.forget(now + REMEMBERED_TIME - Duration::from_secs(1));
        assert!(removed.contains(stream(1), ViewerId(1)));
        removed.forget(now + REMEMBERED_TIME);
        assert!(!removed.contains(stream(1), ViewerId(1)) && removed.streams.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut removed = Removed::default();
        let now = Instant::now();
        for viewer in 0..2 * REMOVED_OF_STREAM_MAX as u64 {
            removed.insert(stream(1), ViewerId(viewer), now);
        }
        for number in 0..STREAMS_MAX as u64 + 10 {
            removed.insert(stream(number), ViewerId(0), now);
        }
        assert_eq!(removed.streams[&stream(1)].len(), REMOVED_OF_STREAM_MAX);
        assert_eq!(removed.streams.len(), STREAMS_MAX);
    }
}
