//! What each relay has to do, and what it costs.

use std::{fs, time::Duration};

use tokio::time::{Instant, sleep};

use crate::show::Show;

/// Clock ticks of a second in /proc, on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// One relay over the measured time.
#[derive(Debug, Clone)]
pub struct Share {
    /// Its name.
    pub relay: String,
    /// Viewers here.
    pub viewers: usize,
    /// Share of one core.
    pub cpu: f64,
    /// Bytes of media that it sent, to viewers and to other relays, in a second.
    pub egress: f64,
    /// Bytes of media that it took in, in a second.
    pub ingress: f64,
    /// Chunks it took in for each chunk that was made.
    pub taken_in: f64,
    /// Resident memory in MiB.
    pub memory_mib: f64,
}

/// What a relay has counted so far.
struct Counted {
    cpu_s: f64,
    bytes_out: f64,
    bytes_in: f64,
    chunks_in: f64,
}

/// Looks for so long at a stream of `rate` chunks a second.
pub(super) async fn measure(show: &Show, rate: u32, measured: Duration) -> Vec<Share> {
    let names = show.system.relays();
    let mut before = vec![];
    for name in &names {
        before.push((Instant::now(), counted(show, name).await));
    }
    sleep(measured).await;
    let spread = show.spread();
    let mut shares = vec![];
    for ((name, (begun, then)), (_, viewers)) in names.into_iter().zip(before).zip(spread) {
        let now = counted(show, &name).await;
        let seconds = begun.elapsed().as_secs_f64();
        shares.push(Share {
            viewers,
            cpu: (now.cpu_s - then.cpu_s) / seconds,
            egress: (now.bytes_out - then.bytes_out) / seconds,
            ingress: (now.bytes_in - then.bytes_in) / seconds,
            taken_in: (now.chunks_in - then.chunks_in) / seconds / f64::from(rate),
            memory_mib: memory_mib(show, &name),
            relay: name,
        });
    }
    shares
}

async fn counted(show: &Show, name: &str) -> Counted {
    let metric = async |metric: &str| show.system.metric(name, metric).await.unwrap_or_default();
    Counted {
        cpu_s: cpu_s(show, name),
        bytes_out: metric("relay_media_bytes_out_total").await,
        bytes_in: metric("relay_media_bytes_in_total").await + metric("relay_upstream_bytes_in_total").await,
        chunks_in: metric("relay_chunks_in_total").await + metric("relay_upstream_chunks_in_total").await,
    }
}

fn stat(show: &Show, name: &str, file: &str) -> String {
    let id = show.system.process_id(name).unwrap_or_default();
    fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}

fn cpu_s(show: &Show, name: &str) -> f64 {
    let stat = stat(show, name, "stat");
    // The name in parentheses may hold anything; user and system time are the 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn memory_mib(show: &Show, name: &str) -> f64 {
    let status = stat(show, name, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
