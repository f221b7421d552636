//! What is under way on one connection: handed to the system, and not confirmed by the relay.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// While the oldest has been under way for longer, beyond what the way takes, nothing follows it: what waits in the outbox can still
/// be left out, what the system holds can't. Twice as long as a relay may take to confirm.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(500);

/// The way to a relay and back is believed up to this.
const WAY_TIME_MAX: Duration = Duration::from_secs(1);

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
    /// The least time from handing over to confirmation.
    way: Option<Duration>,
}

impl Flight {
    /// One more chunk is handed to the system.
    pub(super) fn handed(&self, now: Instant) {
        self.chunks().handed_at.push_back(now);
    }

    /// The relay has confirmed so many in all.
    pub(super) fn confirmed(&self, chunks: u64, now: Instant) {
        let mut known = self.chunks();
        let landed = chunks.saturating_sub(known.confirmed).min(known.handed_at.len() as u64);
        let newest = known.handed_at.drain(..usize::try_from(landed).unwrap_or(usize::MAX)).next_back();
        if let Some(took) = newest.map(|at| now.saturating_duration_since(at)) {
            known.way = Some(known.way.map_or(took, |way| way.min(took)));
        }
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
        while !self.is_free(Instant::now()) {
            self.0.landed.notified().await;
        }
    }

    fn is_free(&self, now: Instant) -> bool {
        let known = self.chunks();
        let way = known.way.unwrap_or(WAY_TIME_MAX).min(WAY_TIME_MAX);
        known.handed_at.front().is_none_or(|&at| now.saturating_duration_since(at) <= QUEUE_TIME_MAX + way)
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
        flight.confirmed(3, at(500));
        flight.confirmed(2, at(500)); // late, and known already
        assert_eq!(flight.age(at(500)), Some(Duration::from_millis(200)));
        flight.confirmed(9, at(500)); // more than there were
        assert_eq!(flight.age(at(500)), None);
    }

    #[test]
    fn nothing_follows_what_has_been_under_way_for_longer_than_the_way_takes() {
        let (flight, began) = (Flight::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        flight.handed(at(0));
        assert!(flight.is_free(at(1_400)), "nothing is known of the way yet");
        assert!(!flight.is_free(at(1_600)));
        flight.confirmed(1, at(300));
        flight.handed(at(400));
        assert!(flight.is_free(at(1_200)) && !flight.is_free(at(1_201)));
        flight.confirmed(2, at(440));
        flight.handed(at(500));
        assert!(flight.is_free(at(1_040)) && !flight.is_free(at(1_041)));
        flight.confirmed(3, at(1_041));
        assert!(flight.is_free(at(9_000)));
    }

    #[test]
    fn confirmation_lets_the_next_one_follow() {
        let flight = Flight::default();
        flight.handed(Instant::now().checked_sub(Duration::from_secs(5)).unwrap());
        let mut waiting = Box::pin(flight.has_room());
        assert!(waiting.as_mut().now_or_never().is_none());
        flight.confirmed(1, Instant::now());
        assert!(waiting.now_or_never().is_some());
    }
}
