//! The directory's clock as seen from here: capture times are told by it, so that viewers on other machines can measure latency.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use protocol::http::ServerTime;
use reqwest::Method;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{DirectoryClient, DirectoryError};

/// Round trips per measurement: one of them is seldom delayed.
const SAMPLES: usize = 5;

/// How often the clock is measured again: cheap clocks drift by a few milliseconds in that time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// How soon a measurement that failed is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The directory's clock. Copies share one measurement, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct DirectoryClock {
    offset_us: Arc<AtomicI64>,
    due: Arc<Notify>,
    _refresh: Option<Arc<DropGuard>>,
}

impl DirectoryClock {
    /// This machine's clock, taken for the directory's.
    #[must_use]
    pub fn local() -> Self {
        Self { offset_us: Arc::default(), due: Arc::default(), _refresh: None }
    }

    pub(super) async fn start(client: DirectoryClient) -> Self {
        let offset_us = Arc::new(AtomicI64::new(0));
        let mut wait = RETRY_INTERVAL;
        if let Ok(offset) = measure(&client).await {
            offset_us.store(offset, Ordering::Relaxed);
            wait = REFRESH_INTERVAL;
        }
        let (stop, due) = (CancellationToken::new(), Arc::<Notify>::default());
        let refresh = refresh(client, Arc::clone(&offset_us), Arc::clone(&due), wait);
        let stopped = stop.clone();
        drop(tokio::spawn(async move { stopped.run_until_cancelled(refresh).await }));
        Self { offset_us, due, _refresh: Some(Arc::new(stop.drop_guard())) }
    }

    /// This machine's clock was set, or it slept: the measurement is old.
    pub(crate) fn measure_again(&self) {
        self.due.notify_one();
    }

    /// Microseconds since the Unix epoch by the directory's clock.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.at_us(local_now_us())
    }

    /// The directory's time at a moment that this machine's clock calls `local_us` (microseconds since the Unix epoch).
    #[must_use]
    pub fn at_us(&self, local_us: u64) -> u64 {
        local_us.saturating_add_signed(self.offset_us.load(Ordering::Relaxed))
    }
}

/// Microseconds since the Unix epoch by this machine's clock.
pub(crate) fn local_now_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

async fn refresh(client: DirectoryClient, offset_us: Arc<AtomicI64>, due: Arc<Notify>, mut wait: Duration) {
    loop {
        let _ = tokio::time::timeout(wait, due.notified()).await;
        wait = match measure(&client).await {
            Ok(offset) => {
                offset_us.store(offset, Ordering::Relaxed);
                REFRESH_INTERVAL
            }
            Err(_) => RETRY_INTERVAL, // the last value holds
        };
    }
}

async fn measure(client: &DirectoryClient) -> Result<i64, DirectoryError> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let (sent_us, sent) = (local_now_us(), Instant::now());
        let theirs: ServerTime = client.json(client.request(Method::GET, "api/time")).await?;
        samples.push(Sample { sent_us, round_trip: sent.elapsed(), theirs_us: theirs.now_us });
    }
    Ok(offset_us(&samples))
}

/// One question and its answer.
struct Sample {
    sent_us: u64,
    round_trip: Duration,
    theirs_us: u64,
}

/// How far the directory's clock is ahead, from the fastest round trip: half of it is the most it can be wrong.
fn offset_us(samples: &[Sample]) -> i64 {
    samples.iter().min_by_key(|sample| sample.round_trip).map_or(0, |best| {
        let half = u64::try_from(best.round_trip.as_micros()).unwrap_or(u64::MAX) / 2;
        best.theirs_us.wrapping_sub(best.sent_us.saturating_add(half)).cast_signed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sent_us: u64, round_trip_ms: u64, theirs_us: u64) -> Sample {
        Sample { sent_us, round_trip: Duration::from_millis(round_trip_ms), theirs_us }
    }

    #[test]
    fn fastest_round_trip_decides() {
        let slow = sample(1_000_000, 300, 1_900_000);
        let fast = sample(2_000_000, 2, 2_501_000);
        assert_eq!(offset_us(&[slow, fast]), 500_000);
    }

    #[test]
    fn directory_may_be_behind() {
        assert_eq!(offset_us(&[sample(2_000_000, 10, 1_005_000)]), -1_000_000);
    }

    #[test]
    fn offset_is_applied_to_local_times() {
        let clock = DirectoryClock::local();
        clock.offset_us.store(-250, Ordering::Relaxed);
        assert_eq!(clock.at_us(1_000), 750);
    }
}
