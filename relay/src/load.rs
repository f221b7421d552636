//! How busy this relay is, measured by itself: what the directory gives work by.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use protocol::http::RelayLoad;
use tokio::time::Instant;

use crate::metrics::Metrics;

mod lag;
mod process;

pub use lag::Lag;
use process::{Files, cpu_time, files, memory_bytes};

/// Shortest time that is measured over: the kernel counts CPU time in hundredths of a second, and heartbeats may come in quick
/// succession.
const MEASURED_TIME_MIN: Duration = Duration::from_millis(400);

/// Measures the load between one report and the next.
#[derive(Debug)]
pub struct LoadMeter {
    metrics: Arc<Metrics>,
    cores: u32,
    last: Mutex<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    cpu: Option<Duration>,
    bytes_out: u64,
    accept_failures: u64,
    load: RelayLoad,
}

impl LoadMeter {
    /// A meter that begins now.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        // A relay that was given fewer threads than there are cores can't use the others.
        let threads = tokio::runtime::Handle::try_current().map_or(usize::MAX, |own| own.metrics().num_workers());
        let cores = available_parallelism().map_or(1, |cores| cores.get().min(threads));
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        let last = Sample {
            at: Instant::now(),
            cpu: cpu_time(),
            bytes_out: metrics.bytes_out.get(),
            accept_failures: metrics.accept_failures.get(),
            load: RelayLoad::default(),
        };
        Self { metrics, cores, last: Mutex::new(last) }
    }

    /// The load since the last report.
    #[must_use]
    pub fn measure(&self) -> RelayLoad {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed = now.duration_since(last.at);
        let accept_failures = self.metrics.accept_failures.get();
        let failed = u32::try_from(accept_failures - last.accept_failures).unwrap_or(u32::MAX);
        last.accept_failures = accept_failures;
        if elapsed >= MEASURED_TIME_MIN {
            let (cpu, bytes_out) = (cpu_time(), self.metrics.bytes_out.get());
            let Files { open, max } = files();
            let (send_lag_median_ms, send_lag_ms) = self.metrics.lag.take_ms();
            last.load = RelayLoad {
                egress_bytes_per_s: per_second(bytes_out - last.bytes_out, elapsed),
                cpu_percent: cpu
                    .zip(last.cpu)
                    .map_or(0, |(cpu, before)| percent(cpu.saturating_sub(before), elapsed, self.cores)),
                memory_bytes: memory_bytes(),
                files_open: open,
                files_max: max,
                send_lag_ms,
                send_lag_median_ms,
                accept_failures: 0,
            };
            (last.at, last.cpu, last.bytes_out) = (now, cpu, bytes_out);
        }
        self.metrics.send_lag_ms.set(last.load.send_lag_ms.into());
        RelayLoad { accept_failures: failed, ..last.load }
    }
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1000 / elapsed.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// The share of `cores` that was used.
fn percent(used: Duration, elapsed: Duration, cores: u32) -> u32 {
    let share = used.as_secs_f64() / elapsed.as_secs_f64() / f64::from(cores.max(1));
    // The kernel's hundredths may add up to a little more than there was.
    (share * 100.0).round().min(100.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn shares_are_of_all_cores_and_of_the_time_that_has_passed() {
        assert_eq!(percent(SECOND, SECOND, 2), 50);
        assert_eq!(percent(SECOND, 2 * SECOND, 1), 50);
        assert_eq!(percent(3 * SECOND, SECOND, 2), 100);
        assert_eq!(per_second(500, SECOND / 2), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn load_is_what_happened_since_the_last_report() {
        let metrics = Arc::new(Metrics::default());
        metrics.bytes_out.inc_by(7);
        let meter = LoadMeter::new(Arc::clone(&metrics));
        metrics.bytes_out.inc_by(3000);
        metrics.accept_failures.inc_by(2);
        metrics.lag.note(Duration::from_millis(30), 1);
        tokio::time::advance(2 * SECOND).await;
        let load = meter.measure();
        assert_eq!((load.egress_bytes_per_s, load.accept_failures), (1500, 2));
        assert!((30..=40).contains(&load.send_lag_ms), "{load:?}");
        // Asked again at once, it says the same, but for what would count twice.
        assert_eq!(meter.measure(), RelayLoad { accept_failures: 0, ..load });
        tokio::time::advance(SECOND).await;
        let load = meter.measure();
        assert_eq!((load.egress_bytes_per_s, load.accept_failures, load.send_lag_ms), (0, 0, 0));
        #[cfg(target_os = "linux")]
        assert!(load.memory_bytes > 1_000_000 && load.files_open > 2 && load.files_max > load.files_open, "{load:?}");
    }
}
