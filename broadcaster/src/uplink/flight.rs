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
    /// Those under way, oldest first.
    handed: VecDeque<Handed>,
    handed_bytes: u64,
    confirmed: u64,
    /// The least time from handing over to confirmation.
    way: Option<Duration>,
    /// Chunks were lost, some of which may be confirmed all the same: counts are not exact any more.
    uncertain: bool,
}

#[derive(Debug)]
struct Handed {
    at: Instant,
    segment: u32,
    /// Bytes that were handed over until then, with its own.
    bytes_by_then: u64,
}

impl Flight {
    /// One more chunk is handed over.
    pub(super) fn handed(&self, segment: u32, bytes: usize, now: Instant) {
        let mut known = self.chunks();
        known.handed_bytes += bytes as u64;
        let bytes_by_then = known.handed_bytes;
        known.handed.push_back(Handed { at: now, segment, bytes_by_then });
    }

    /// The relay has confirmed so many in all.
    pub(super) fn confirmed(&self, chunks: u64, now: Instant) {
        let mut known = self.chunks();
        let mut landed = 0;
        while known.confirmed + landed < chunks
            && let Some(oldest) = known.handed.front()
        {
            let took = now.saturating_duration_since(oldest.at);
            if known.uncertain && known.way.is_some_and(|way| took < way) {
                // None is as fast: what is confirmed had been taken for lost.
                known.confirmed = chunks - landed;
                break;
            }
            landed += 1;
            known.handed.pop_front();
            if known.handed.front().is_none_or(|_| known.confirmed + landed == chunks) {
                known.way = Some(known.way.map_or(took, |way| way.min(took)));
            }
        }
        known.confirmed += landed; // what was never sent is not confirmed, whatever a relay says
        drop(known);
        self.0.landed.notify_one();
    }

    /// Segments before this one were given up: what is under way of them does not arrive.
    pub(super) fn lost_before(&self, segment: u32) {
        self.chunks().lose(|handed| handed.segment < segment);
    }

    /// All that was handed over up to this many bytes has arrived or never will, whether the relay has told of it or not.
    pub(super) fn settled(&self, bytes: u64) {
        self.chunks().lose(|handed| handed.bytes_by_then <= bytes);
    }

    /// The same of all that was handed over longer ago than `age`.
    pub(super) fn settled_after(&self, age: Duration, now: Instant) {
        self.chunks().lose(|handed| now.saturating_duration_since(handed.at) > age);
    }

    /// So many of those that were handed over last do not arrive.
    pub(super) fn lost_newest(&self, chunks: u64) {
        let mut known = self.chunks();
        let kept = known.handed.len().saturating_sub(usize::try_from(chunks).unwrap_or(usize::MAX));
        known.uncertain |= kept < known.handed.len();
        known.handed.truncate(kept);
    }

    /// Bytes that were handed over in all.
    pub(super) fn handed_bytes(&self) -> u64 {
        self.chunks().handed_bytes
    }

    /// How long the oldest has been under way; `None` when none is.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.chunks().handed.front().map(|oldest| now.saturating_duration_since(oldest.at))
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
        let age = known.handed.front().map(|oldest| now.saturating_duration_since(oldest.at));
        age.is_none_or(|age| age <= QUEUE_TIME_MAX + way)
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.0.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chunks {
    fn lose(&mut self, is_lost: impl Fn(&Handed) -> bool) {
        let before = self.handed.len();
        self.handed.retain(|handed| !is_lost(handed));
        self.uncertain |= self.handed.len() < before;
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
        (0..4).for_each(|n| flight.handed(1, 100, at(100 * n)));
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
        flight.handed(1, 100, at(0));
        assert!(flight.is_free(at(1_400)), "nothing is known of the way yet");
        assert!(!flight.is_free(at(1_600)));
        flight.confirmed(1, at(300));
        flight.handed(1, 100, at(400));
        assert!(flight.is_free(at(1_200)) && !flight.is_free(at(1_201)));
        flight.confirmed(2, at(440));
        flight.handed(1, 100, at(500));
        assert!(flight.is_free(at(1_040)) && !flight.is_free(at(1_041)));
        flight.confirmed(3, at(1_041));
        assert!(flight.is_free(at(9_000)));
    }

    #[test]
    fn confirmation_lets_the_next_one_follow() {
        let flight = Flight::default();
        flight.handed(1, 100, Instant::now().checked_sub(Duration::from_secs(5)).unwrap());
        let mut waiting = Box::pin(flight.has_room());
        assert!(waiting.as_mut().now_or_never().is_none());
        flight.confirmed(1, Instant::now());
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn what_was_given_up_is_not_waited_for() {
        let (flight, began) = (Flight::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        (0..10).for_each(|n| flight.handed(1, 100, at(10 * n)));
        flight.confirmed(4, at(100));
        // The line stands still; what is left of the first segment is reset for the second.
        flight.handed(2, 100, at(1_000));
        assert_eq!(flight.age(at(1_000)), Some(Duration::from_millis(960)));
        flight.lost_before(2);
        assert_eq!(flight.age(at(1_010)), Some(Duration::from_millis(10)));
        // Three of the first segment had arrived, and nothing of the second one can have.
        flight.confirmed(7, at(1_030));
        assert_eq!(flight.age(at(1_030)), Some(Duration::from_millis(30)));
        flight.confirmed(8, at(1_100));
        assert_eq!(flight.age(at(1_100)), None);
        flight.handed(2, 100, at(1_200));
        flight.confirmed(9, at(1_300));
        assert_eq!(flight.age(at(1_300)), None, "counts are right again");
    }

    #[test]
    fn what_the_relay_gave_up_by_itself_is_not_waited_for_for_ever() {
        let (flight, began) = (Flight::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        (0..10).for_each(|n| flight.handed(1, 100, at(10 * n)));
        flight.confirmed(7, at(200)); // of which it has thrown three away
        assert_eq!(flight.age(at(500)), Some(Duration::from_millis(430)));
        flight.handed(2, 5_000, at(500));
        assert_eq!(flight.handed_bytes(), 6_000);
        flight.settled(1_000);
        assert_eq!(flight.age(at(510)), Some(Duration::from_millis(10)));
        flight.confirmed(8, at(650));
        assert_eq!(flight.age(at(650)), None);
        flight.handed(2, 100, at(700));
        flight.handed(2, 100, at(800));
        flight.lost_newest(1);
        flight.settled_after(Duration::from_millis(500), at(1_200));
        assert_eq!(flight.age(at(1_200)), Some(Duration::from_millis(500)));
        flight.settled_after(Duration::from_millis(500), at(1_201));
        assert_eq!(flight.age(at(1_201)), None);
    }
}
