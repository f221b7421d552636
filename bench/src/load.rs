//! One run: a publisher on a thread of its own, viewers on a few others, and the relay's CPU time over the same window.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use protocol::{StreamId, http::CreatedStream, limits::MESSAGE_BYTES_MAX};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};

use crate::{
    directory::{Directory, relay_of},
    latencies::Latencies,
    media_clock::MediaClock,
    process_time::{load_average, process_time},
    publisher::{Published, Publisher},
    report::Report,
    viewer::{Seen, Viewer, Watching, Window},
};

/// Most viewers: what a relay serves unless told otherwise.
pub const VIEWERS_MAX: u32 = 2000;
/// Longest measured time.
pub const SECONDS_MAX: u32 = 600;
/// Most chunks per second.
pub const RATE_MAX: u32 = 240;
/// Most latencies of one run: all of them are held, 4 bytes each.
const LATENCIES_MAX: u64 = 50_000_000;
/// Viewers that join at the same time: a crowd at a door would only wait in the listener's queue.
const JOINING_MAX: usize = 16;
/// How long after the window viewers may still wait for its chunks.
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(5);
/// Connections that share a ticket: as many as a relay lets one viewer have.
const VIEWERS_OF_TICKET: u32 = 4;

/// How often the directory is asked again whether the stream can be watched.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long it may take until it can.
const WATCH_TIME_MAX: Duration = Duration::from_secs(10);

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Load {
    /// Viewers.
    pub viewers: u32,
    /// Chunks per second.
    pub rate: u32,
    /// Bytes of a chunk's payload.
    pub chunk_bytes: usize,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// Seconds between the last viewer's joining and the measured time.
    pub warm_up_seconds: u32,
    /// Seconds that are measured.
    pub seconds: u32,
    /// The relay's process, when its CPU time is wanted.
    pub relay_pid: Option<u32>,
}

impl Load {
    fn check(&self) -> Result<()> {
        ensure!((1..=VIEWERS_MAX).contains(&self.viewers), "give 1 to {VIEWERS_MAX} viewers");
        ensure!((1..=RATE_MAX).contains(&self.rate), "give 1 to {RATE_MAX} chunks per second");
        ensure!((1..=SECONDS_MAX).contains(&self.seconds), "give 1 to {SECONDS_MAX} seconds");
        ensure!(self.warm_up_seconds <= SECONDS_MAX, "give at most {SECONDS_MAX} seconds of warm-up");
        ensure!(self.key_interval > 0, "a segment has at least one chunk");
        let bytes_max = MESSAGE_BYTES_MAX / 2;
        ensure!((1..=bytes_max).contains(&self.chunk_bytes), "give 1 to {bytes_max} bytes per chunk");
        let latencies = u64::from(self.viewers) * u64::from(self.rate) * u64::from(self.seconds);
        ensure!(latencies <= LATENCIES_MAX, "that is {latencies} deliveries; at most {LATENCIES_MAX} are measured");
        Ok(())
    }

    /// Makes a stream at `directory`, loads the relay that gets it, and ends the stream again.
    ///
    /// # Errors
    /// When the load is over a limit, or the servers don't carry it.
    pub async fn run(&self, directory: &Directory) -> Result<Report> {
        self.check()?;
        let created = directory.create_stream("Load").await?;
        let report = self.put_on(directory, &created).await;
        // The relay was told already when all went well.
        let _ = directory.end_stream(&created).await;
        report
    }

    async fn put_on(&self, directory: &Directory, created: &CreatedStream) -> Result<Report> {
        let clock = MediaClock::start();
        let publisher = Publisher {
            relay: relay_of(&created.assignment)?,
            ticket: created.assignment.ticket.clone(),
            rate: self.rate,
            key_interval: self.key_interval,
            chunk_bytes: self.chunk_bytes,
            clock,
        };
        let (stop, stopped) = watch::channel(false);
        let (registered, is_registered) = oneshot::channel();
        let publishing = thread::Builder::new().name("publisher".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(publisher.run(registered, stopped))
        })?;
        // An error here means that the publisher has ended: its own error says why.
        let measured = match is_registered.await {
            Ok(()) => self.watch(directory, created.id, clock).await,
            Err(_) => Err(anyhow!("nothing was published")),
        };
        let _ = stop.send(true);
        let published = publishing.join().map_err(|_| anyhow!("the publisher has panicked"))??;
        Ok(self.report(measured?, published))
    }

    async fn watch(&self, directory: &Directory, stream: StreamId, clock: MediaClock) -> Result<Measured> {
        let window = Arc::new(OnceLock::new());
        let assignment = watchable(directory, stream).await?;
        let watching = Watching {
            relay: relay_of(&assignment.assignment)?,
            ticket: assignment.assignment.ticket,
            chunk_bytes: self.chunk_bytes,
            key_interval: self.key_interval,
            clock,
            window: Arc::clone(&window),
        };
        let mut viewers = join_all(directory, stream, watching, self.viewers).await?;
        sleep(Duration::from_secs(self.warm_up_seconds.into())).await;

        let load_average_before = load_average();
        let begin_us = clock.now_us();
        let measured_time = Duration::from_secs(self.seconds.into());
        let span = Window { begin_us, end_us: begin_us + u64::from(self.seconds) * 1_000_000 };
        let relay_cpu = self.relay_pid.map(process_time).transpose()?;
        let own_cpu = process_time(std::process::id()).ok();
        window.set(span).map_err(|_| anyhow!("one window per run"))?;
        sleep_until((clock.instant(begin_us) + measured_time).into()).await;
        let relay_cpu_end = self.relay_pid.map(process_time).transpose()?;
        let own_cpu_end = process_time(std::process::id()).ok();
        let load_average_after = load_average();

        let mut seen = Vec::new();
        let all = async {
            while let Some(viewer) = viewers.join_next().await {
                seen.push(viewer??);
            }
            anyhow::Ok(())
        };
        timeout(DELIVERY_TIME_MAX, all).await.context("viewers still wait for chunks long after they were sent")??;
        Ok(Measured {
            window: span,
            seen,
            relay_cpu: relay_cpu_end.zip(relay_cpu).map(|(end, begin)| end.saturating_sub(begin)),
            own_cpu: own_cpu_end.zip(own_cpu).map(|(end, begin)| end.saturating_sub(begin)),
            load_average: [load_average_before, load_average_after],
        })
    }

    fn report(&self, measured: Measured, published: Published) -> Report {
        let Measured { window, seen, relay_cpu, own_cpu, load_average } = measured;
        let planned = (0..).map(|n| published.pace.planned(n).at_us).skip_while(|at_us| *at_us < window.begin_us);
        let planned = planned.take_while(|at_us| *at_us < window.end_us).count() as u64;
        let sum = |count: fn(&Seen) -> u64| seen.iter().map(count).sum::<u64>();
        let chunks_delivered = sum(|seen| seen.chunks);
        let relay_cpu_seconds = relay_cpu.map(|cpu| cpu.as_secs_f64());
        Report {
            viewers: self.viewers,
            seconds: self.seconds.into(),
            rate: self.rate,
            chunk_bytes: self.chunk_bytes,
            chunks_due: planned * u64::from(self.viewers),
            chunks_delivered,
            bytes_delivered: sum(|seen| seen.bytes),
            missing: sum(|seen| seen.order.missing),
            disorder: sum(|seen| seen.order.disorder),
            skips: sum(|seen| seen.skips),
            relay_cpu_seconds,
            relay_us_per_chunk: relay_cpu_seconds
                .filter(|_| chunks_delivered > 0)
                .map(|seconds| seconds * 1e6 / chunks_delivered as f64),
            load_cpu_seconds: own_cpu.map(|cpu| cpu.as_secs_f64()),
            publisher_late_ms: published.late.summary(),
            load_average_before: load_average[0],
            load_average_after: load_average[1],
            latency_ms: all_latencies(seen).summary(),
        }
    }
}

/// What the viewers' side of a run gives.
#[derive(Debug)]
struct Measured {
    window: Window,
    seen: Vec<Seen>,
    relay_cpu: Option<Duration>,
    own_cpu: Option<Duration>,
    load_average: [Option<f64>; 2],
}

fn all_latencies(seen: Vec<Seen>) -> Latencies {
    let mut all = Latencies::default();
    for viewer in seen {
        all.extend(viewer.latencies);
    }
    all
}

/// Asks for a way to watch until there is one: a relay reports a new stream with its next heartbeat only.
async fn watchable(directory: &Directory, stream: StreamId) -> Result<protocol::http::WatchAnswer> {
    let ask = async {
        loop {
            if let Ok(answer) = directory.watch(stream).await {
                return answer;
            }
            sleep(WATCH_INTERVAL).await;
        }
    };
    match timeout(WATCH_TIME_MAX, ask).await {
        Ok(answer) => Ok(answer),
        Err(_) => directory.watch(stream).await,
    }
}

/// Lets all viewers in, a few at a time; each watches on from the moment it has joined.
async fn join_all(
    directory: &Directory,
    stream: StreamId,
    mut watching: Watching,
    count: u32,
) -> Result<JoinSet<Result<Seen>>> {
    let (mut joining, mut viewers) = (JoinSet::new(), JoinSet::new());
    for number in 0..count {
        if number > 0 && number % VIEWERS_OF_TICKET == 0 {
            watching.ticket = directory.watch(stream).await?.assignment.ticket;
        }
        if joining.len() >= JOINING_MAX
            && let Some(viewer) = joining.join_next().await
        {
            viewers.spawn(Viewer::watch(viewer??));
        }
        joining.spawn(Viewer::join(watching.clone()));
    }
    while let Some(viewer) = joining.join_next().await {
        viewers.spawn(Viewer::watch(viewer??));
    }
    Ok(viewers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_over_a_limit_is_refused_in_words() {
        let good = Load {
            viewers: 300,
            rate: 30,
            chunk_bytes: 10_400,
            key_interval: 60,
            warm_up_seconds: 3,
            seconds: 20,
            relay_pid: None,
        };
        assert!(good.check().is_ok());
        for (bad, words) in [
            (Load { viewers: 2001, ..good.clone() }, "give 1 to 2000 viewers"),
            (Load { rate: 0, ..good.clone() }, "give 1 to 240 chunks per second"),
            (Load { seconds: 601, ..good.clone() }, "give 1 to 600 seconds"),
            (Load { chunk_bytes: 0, ..good.clone() }, "bytes per chunk"),
            (Load { key_interval: 0, ..good.clone() }, "at least one chunk"),
            (Load { viewers: 2000, rate: 240, seconds: 600, ..good }, "deliveries"),
        ] {
            let refusal = bad.check().unwrap_err().to_string();
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
