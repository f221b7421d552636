//! Percentiles over all values, not over samples of them.

use serde::Serialize;

/// Latencies in microseconds.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<u32>);

/// What a report says of latencies, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the values are at or below it.
    pub p50: f64,
    /// 95 of 100 values are at or below it.
    pub p95: f64,
    /// 99 of 100 values are at or below it.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What a report says of the speed of chunks, in kB/s: bytes over the time from planned to delivered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speeds {
    /// The mean over all deliveries.
    pub average: f64,
    /// The slowest delivery.
    pub slowest: f64,
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, latency_us: u64) {
        self.0.push(u32::try_from(latency_us).unwrap_or(u32::MAX));
    }

    /// Counts all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How fast `bytes` were each time; `None` when there is no value.
    #[must_use]
    pub fn speeds(&self, bytes: usize) -> Option<Speeds> {
        // Bytes per millisecond are kB/s. No delivery takes less than a microsecond.
        let speed = |us: u32| bytes as f64 / (f64::from(us.max(1)) / 1000.0);
        let slowest = speed(*self.0.iter().max()?);
        let average = self.0.iter().map(|us| speed(*us)).sum::<f64>() / self.0.len() as f64;
        Some(Speeds { average, slowest })
    }

    /// The percentiles (nearest rank); `None` when there is no value.
    #[must_use]
    pub fn summary(mut self) -> Option<Summary> {
        self.0.sort_unstable();
        let at = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            self.0.get(rank - 1).map(|us| f64::from(*us) / 1000.0)
        };
        Some(Summary { p50: at(50)?, p95: at(95)?, p99: at(99)?, max: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut latencies = Latencies::default();
        for ms in (1..=200).rev() {
            latencies.add(ms * 1000);
        }
        assert_eq!(latencies.summary(), Some(Summary { p50: 100.0, p95: 190.0, p99: 198.0, max: 200.0 }));
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_no_summary() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.clone().summary(), None);
        latencies.add(1500);
        assert_eq!(latencies.summary(), Some(Summary { p50: 1.5, p95: 1.5, p99: 1.5, max: 1.5 }));
    }

    #[test]
    fn speed_is_the_mean_of_all_deliveries_and_the_slowest_of_them() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.speeds(3_000_000), None);
        latencies.add(1_000_000);
        latencies.add(3_000_000);
        assert_eq!(latencies.speeds(3_000_000), Some(Speeds { average: 2000.0, slowest: 1000.0 }));
    }
}
