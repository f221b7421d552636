//! What is under way on one connection: handed to the system, and not confirmed by the relay.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// While the oldest has been under way for longer, nothing follows it: what waits in the outbox can still be left out, what the
/// system holds can't. Longer than the way to any relay and back.
const UNDER_WAY_TIME_MAX: Duration = Duration::from_secs(1);

/// The chunks of one connection that are under way, known to whoever sends and to whoever steers.
#[derive(Debug, Clone, Default)]
pub(super) struct Flight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    chunks: Mutex<Chunks>,
    landed: Notify,
}

#[derive(Debug, Default)]
struct Chunks {
    /// When each of those under way was handed over, oldest first.
    handed_at: VecDeque<Instant>,
    confirmed: u64,
}

impl Flight {
    /// One more chunk is handed to the system.
    pub(super) fn handed(&self, now: Instant) {
        self.chunks().handed_at.push_back(now);
    }

    /// The relay has confirmed so many in all.
    pub(super) fn confirmed(&self, chunks: u64) {
        let mut known = self.chunks();
        let landed = chunks.saturating_sub(known.confirmed).min(known.handed_at.len() as u64);
        known.handed_at.drain(..usize::try_from(landed).unwrap_or(usize::MAX));
        known.confirmed += landed; // what was never sent is not confirmed, whatever a relay says
        drop(known);
        self.0.landed.notify_one();
    }

    /// How long the oldest has been under way; `None` when none is.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.chunks().handed_at.front().map(|&at| now.saturating_duration_since(at))
    }

    /// Waits until more may follow. May be cancelled without a loss.
    pub(super) async fn has_room(&self) {
        while self.age(Instant::now()).is_some_and(|age| age > UNDER_WAY_TIME_MAX) {
            self.0.landed.notified().await;
        }
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.0.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn oldest_chunk_that_is_not_confirmed_tells_the_age() {
        let (flight, began) = (Flight::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(flight.age(at(0)), None);
        (0..4).for_each(|n| flight.handed(at(100 * n)));
        assert_eq!(flight.age(at(500)), Some(Duration::from_millis(500)));
        flight.confirmed(3);
        flight.confirmed(2); // late, and known already
        assert_eq!(flight.age(at(500)), Some(Duration::from_millis(200)));
        flight.confirmed(9); // more than there were
        assert_eq!(flight.age(at(500)), None);
    }

    #[test]
    fn nothing_follows_what_has_been_under_way_for_long() {
        let flight = Flight::default();
        let long_ago = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        flight.handed(Instant::now());
        assert!(flight.has_room().now_or_never().is_some());
        flight.confirmed(1);
        flight.handed(long_ago);
        assert!(flight.has_room().now_or_never().is_none());
        flight.confirmed(2);
        assert!(flight.has_room().now_or_never().is_some());
    }
}
