//! What an upstream has said of where its stream goes on. Pure.

use std::time::Duration;

use protocol::http::RelayAddress;
use tokio::time::Instant;

/// How long this relay looks for a place to follow a stream to that moves, before it sends its viewers there.
const FOLLOW_TIME_MAX: Duration = Duration::from_secs(1);

/// The upstream has said that the stream goes on elsewhere.
#[derive(Debug)]
pub(super) struct Moving {
    since: Instant,
    /// Where; taken when the viewers are told.
    relays: Option<Vec<RelayAddress>>,
}

impl Moving {
    /// It says so at `now`.
    pub(super) const fn new(relays: Vec<RelayAddress>, now: Instant) -> Self {
        Self { since: now, relays: Some(relays) }
    }

    /// Where viewers are to be sent who could not be followed for, once.
    pub(super) fn viewers_are_due(&mut self, now: Instant) -> Option<Vec<RelayAddress>> {
        self.relays.take_if(|_| now.duration_since(self.since) >= FOLLOW_TIME_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_sent_after_the_stream_once_and_when_nobody_could_follow_for_them() {
        let now = Instant::now();
        let mut moving = Moving::new(vec![], now);
        assert_eq!(moving.viewers_are_due(now + FOLLOW_TIME_MAX - Duration::from_millis(1)), None);
        assert_eq!(moving.viewers_are_due(now + FOLLOW_TIME_MAX), Some(vec![]));
        assert_eq!(moving.viewers_are_due(now + 2 * FOLLOW_TIME_MAX), None);
    }
}
