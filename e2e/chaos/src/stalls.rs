//! How long pictures stood still: distributions, and the gaps they are made of. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Many times, in milliseconds, in few words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many.
    pub count: usize,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 19 of 20 are at most this.
    pub p95_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Distribution {
    /// Of these, in microseconds.
    #[must_use]
    pub fn of(mut times_us: Vec<u64>) -> Self {
        times_us.sort_unstable();
        let rank = |share: f64| {
            let index = ((times_us.len() as f64 * share).ceil() as usize).saturating_sub(1);
            times_us.get(index).map_or(0.0, |&us| us as f64 / 1000.0)
        };
        Self { count: times_us.len(), p50_ms: rank(0.5), p95_ms: rank(0.95), max_ms: rank(1.0) }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms", self.p50_ms, self.p95_ms, self.max_ms)
    }
}

/// The longest time between two pictures that begins or ends within `from_us..to_us`, of times that grow. A picture that stands
/// still at the end has stood still until then.
#[must_use]
pub fn longest_gap(times_us: &[u64], from_us: u64, to_us: u64) -> u64 {
    let first = times_us.partition_point(|&at| at <= from_us).saturating_sub(1);
    let inside = times_us.get(first..).unwrap_or_default();
    let mut last = inside.first().copied().unwrap_or(from_us).min(to_us);
    let mut longest = 0;
    for &at in inside {
        longest = longest.max(at.saturating_sub(last));
        last = at;
        if at >= to_us {
            return longest;
        }
    }
    longest.max(to_us - last)
}

/// The middle one of these, none of none.
#[must_use]
pub fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let distribution = Distribution::of((1..=100).rev().map(|ms| ms * 1000).collect());
        assert_eq!((distribution.p50_ms, distribution.p95_ms, distribution.max_ms), (50.0, 95.0, 100.0));
        assert_eq!(Distribution::of(vec![7_000]).to_string(), "p50 7 ms, p95 7 ms, max 7 ms");
        assert_eq!(Distribution::of(vec![]), Distribution::default());
    }

    #[test]
    fn gap_counts_from_the_last_picture_before_to_the_first_after() {
        let times = [0, 30, 60, 500, 530, 560];
        assert_eq!(longest_gap(&times, 100, 520), 440);
        assert_eq!(longest_gap(&times, 505, 540), 30);
        assert_eq!(longest_gap(&times, 100, 450), 440, "begun within");
        assert_eq!(longest_gap(&times, 520, 1000), 440, "stands still until the end");
        assert_eq!(longest_gap(&[], 100, 450), 350, "nothing was ever shown");
    }
}
