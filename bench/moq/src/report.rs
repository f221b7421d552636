//! One run, and what it tells: one line of JSON with fields of relay_load's report.

use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tokio::{sync::oneshot, time::sleep};

use crate::{
    Flags,
    crowd::{Crowd, Seen, Window},
    latencies::{Latencies, Summary},
    process::process_time,
    publisher::{Published, publish},
    stream::Stream,
};

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    viewers: u32,
    seconds: f64,
    chunk_bytes: usize,
    /// Chunks that should have reached viewers in the measured time: those planned, times the viewers.
    chunks_due: u64,
    /// Chunks that did.
    chunks_delivered: u64,
    /// Chunks that were left out between a viewer's first and its last.
    missing: u64,
    /// Chunks that came after a later one.
    disorder: u64,
    /// From a chunk's planned time of sending until a viewer had its last byte.
    latency_ms: Option<Summary>,
    /// How late chunks were sent.
    publisher_late_ms: Option<Summary>,
    /// The relay's user and system time in the measured time.
    relay_cpu_seconds: f64,
    /// The same, for each delivered chunk.
    relay_us_per_chunk: f64,
    /// What the load itself used.
    load_cpu_seconds: f64,
}

impl Report {
    /// Publishes, watches, and measures.
    pub(crate) async fn of(flags: &Flags, stream: &Stream) -> Result<Self> {
        let (begun, has_begun) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let publishing = publish(stream.clone(), begun, stopped)?;
        let measured = match has_begun.await {
            Ok(()) => measure(flags, stream).await,
            // The publisher has ended: its own error says why.
            Err(_) => Err(anyhow!("nothing was published")),
        };
        let _ = stop.send(());
        let published = publishing.join().map_err(|_| anyhow!("the publisher has panicked"))??;
        Ok(Self::made(flags, measured?, published))
    }

    fn made(flags: &Flags, measured: Measured, published: Published) -> Self {
        let Measured { window, mut seen, relay_cpu, own_cpu } = measured;
        let planned = (0..).map(|n| published.pace.planned(n).at_us).skip_while(|at_us| *at_us < window.begin_us);
        let due = planned.take_while(|at_us| *at_us < window.end_us).count() as u64;
        let mut latencies = Latencies::default();
        seen.iter_mut().for_each(|seen| latencies.extend(std::mem::take(&mut seen.latencies)));
        let sum = |count: fn(&Seen) -> u64| seen.iter().map(count).sum::<u64>();
        let chunks_delivered = sum(|seen| seen.chunks);
        let relay_cpu_seconds = relay_cpu.as_secs_f64();
        Self {
            viewers: flags.viewers,
            seconds: flags.seconds.into(),
            chunk_bytes: flags.chunk_bytes,
            chunks_due: due * u64::from(flags.viewers),
            chunks_delivered,
            missing: sum(|seen| seen.order.missing),
            disorder: sum(|seen| seen.order.disorder),
            latency_ms: latencies.summary(),
            publisher_late_ms: published.late.summary(),
            relay_cpu_seconds,
            relay_us_per_chunk: relay_cpu_seconds * 1e6 / chunks_delivered.max(1) as f64,
            load_cpu_seconds: own_cpu.as_secs_f64(),
        }
    }
}

struct Measured {
    window: Window,
    seen: Vec<Seen>,
    relay_cpu: Duration,
    own_cpu: Duration,
}

async fn measure(flags: &Flags, stream: &Stream) -> Result<Measured> {
    let crowd = Crowd::join(stream, flags.viewers).await?;
    sleep(Duration::from_secs(flags.warm_up.into())).await;
    let begin_us = stream.clock.now_us();
    let window = Window { begin_us, end_us: begin_us + u64::from(flags.seconds) * 1_000_000 };
    let cpu = || Ok::<_, anyhow::Error>([process_time(flags.relay_pid)?, process_time(std::process::id())?]);
    let before = cpu()?;
    crowd.begin(window)?;
    tokio::time::sleep_until(stream.clock.instant(window.end_us).into()).await;
    let after = cpu()?;
    let seen = crowd.leave().await?;
    let [relay_cpu, own_cpu] = [0, 1].map(|n| after[n].saturating_sub(before[n]));
    Ok(Measured { window, seen, relay_cpu, own_cpu })
}
