//! How long chunks wait in this relay: a histogram that costs one addition for a chunk and all who get it at once.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Steps between one power of two and the next: a value is told up to a quarter too high.
const STEPS: u32 = 4;

/// Up to 2^15 ms, longer than a message may take to be written; more counts as that.
const BUCKETS: usize = 14 * STEPS as usize;

/// Times of chunks from their arrival to their handing over to a viewer's socket.
#[derive(Debug)]
pub struct Lag([AtomicU64; BUCKETS]);

impl Default for Lag {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Lag {
    /// A chunk was handed over, to so many viewers.
    pub fn note(&self, lag: Duration, times: u64) {
        if let Some(bucket) = self.0.get(bucket_of(lag)) {
            bucket.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// The median and the 99th percentile since the last call, in milliseconds, rounded up; 0 when nothing was handed over.
    #[must_use]
    pub fn take_ms(&self) -> (u32, u32) {
        let counts: [u64; BUCKETS] = array::from_fn(|index| self.0[index].swap(0, Ordering::Relaxed));
        (percentile_ms(&counts, 50), percentile_ms(&counts, 99))
    }
}

fn percentile_ms(counts: &[u64; BUCKETS], percent: u64) -> u32 {
    let total: u64 = counts.iter().sum();
    let rank = (total * percent).div_ceil(100);
    let mut seen = 0;
    let bucket = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    bucket.filter(|_| total > 0).map_or(0, end_ms)
}

/// The first bucket whose end is not before `lag`.
fn bucket_of(lag: Duration) -> usize {
    let ms = u32::try_from(lag.as_micros().div_ceil(1000)).unwrap_or(u32::MAX);
    if ms < STEPS {
        return ms as usize;
    }
    let power = ms.ilog2();
    let step = (ms >> (power - STEPS.ilog2())) - STEPS;
    (((power - 1) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The highest number of milliseconds that falls into a bucket.
fn end_ms(bucket: usize) -> u32 {
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    if bucket < STEPS {
        return bucket;
    }
    let (power, step) = (bucket / STEPS + 1, bucket % STEPS);
    ((STEPS + step + 1) << (power - STEPS.ilog2())) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_time_is_told_up_to_a_quarter_too_high_and_never_too_low() {
        for time in (0..16_000).step_by(7).chain(0..40) {
            let lag = Lag::default();
            lag.note(ms(time), 1);
            let told = u64::from(lag.take_ms().1);
            assert!((time..=time + time / 4).contains(&told), "{time}: {told}");
        }
    }

    #[test]
    fn one_slow_chunk_in_a_hundred_is_not_the_ninety_ninth_percentile_and_two_are() {
        let lag = Lag::default();
        lag.note(ms(2), 99);
        lag.note(ms(900), 1);
        assert_eq!(lag.take_ms(), (2, 2));
        lag.note(ms(2), 98);
        lag.note(ms(900), 2);
        let (median_ms, p99_ms) = lag.take_ms();
        assert!(median_ms == 2 && p99_ms >= 900, "{median_ms} {p99_ms}");
        assert_eq!(lag.take_ms(), (0, 0), "it begins anew");
    }

    #[test]
    fn time_beyond_all_bounds_counts_as_the_longest() {
        let lag = Lag::default();
        lag.note(Duration::MAX, 1);
        assert_eq!(lag.take_ms(), (end_ms(BUCKETS - 1), end_ms(BUCKETS - 1)));
    }
}
