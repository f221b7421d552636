//! One run: publishers on a thread of their own, viewers on a few others, and what the server uses over the same window.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use protocol::{limits::MESSAGE_BYTES_MAX, media_message::MEDIA_HEADER_BYTES};
use rustls::ClientConfig;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    crowd::{Crowd, Watching, Window, door::Door},
    latencies::Latencies,
    media_clock::{MediaClock, interval_us},
    process::{load_average, process_time, resident_bytes},
    publisher::{Published, Publisher},
    report::Report,
    storm,
    target::{Carried, Target},
    transport::Transport,
    viewer::Seen,
};

/// Most viewers: their connections, at both ends, are the files of two processes.
pub const VIEWERS_MAX: u32 = 20_000;
/// Most streams: a thread sends all of them.
pub const STREAMS_MAX: u32 = 256;
/// Longest measured time.
pub const SECONDS_MAX: u32 = 600;
/// Most chunks per second.
pub const RATE_MAX: f64 = 240.0;
/// Fewest chunks per second: one in a minute.
pub const RATE_MIN: f64 = 1.0 / 60.0;
/// Most latencies of one run: all of them are held, 4 bytes each.
const LATENCIES_MAX: u64 = 100_000_000;
/// When, within the measured time, a crowd comes.
const STORM_AFTER: Duration = Duration::from_secs(2);

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Load {
    /// Viewers, over all streams.
    pub viewers: u32,
    /// Streams.
    pub streams: u32,
    /// Chunks per second of each stream.
    pub rate: f64,
    /// Bytes of a chunk's payload.
    pub chunk_bytes: usize,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// Seconds between the last viewer's joining and the measured time.
    pub warm_up_seconds: u32,
    /// Seconds that are measured.
    pub seconds: u32,
    /// Threads that read for the viewers.
    pub threads: usize,
    /// Whether viewers' threads never sleep, over WebSocket.
    pub awake: bool,
    /// Viewers beside the others that read nothing.
    pub stalled: u32,
    /// Viewers beside the others that come at once.
    pub storm: u32,
    /// The server's process, when what it uses is wanted.
    pub relay_pid: Option<u32>,
    /// How certificates are verified.
    pub tls: Option<Arc<ClientConfig>>,
    /// What carries chunks to viewers, and to the relay.
    pub transport: Transport,
    /// Where viewers are, unless they are where the relay is.
    pub elsewhere: Option<Elsewhere>,
}

/// Behind a link.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The network namespace.
    pub namespace: PathBuf,
    /// Where the relay is seen from there.
    pub relay: IpAddr,
}

impl Load {
    fn check(&self) -> Result<()> {
        ensure!((1..=VIEWERS_MAX).contains(&self.viewers), "give 1 to {VIEWERS_MAX} viewers");
        ensure!(
            (1..=STREAMS_MAX.min(self.viewers)).contains(&self.streams),
            "give 1 to {STREAMS_MAX} streams, each a viewer"
        );
        ensure!(self.stalled <= VIEWERS_MAX && self.storm <= VIEWERS_MAX, "give at most {VIEWERS_MAX} viewers");
        ensure!((RATE_MIN..=RATE_MAX).contains(&self.rate), "give 1 chunk in 60 seconds to {RATE_MAX} in each");
        ensure!((1..=SECONDS_MAX).contains(&self.seconds), "give 1 to {SECONDS_MAX} seconds");
        ensure!(self.warm_up_seconds <= SECONDS_MAX, "give at most {SECONDS_MAX} seconds of warm-up");
        ensure!(self.key_interval > 0, "a segment has at least one chunk");
        let bytes_max = MESSAGE_BYTES_MAX - MEDIA_HEADER_BYTES;
        ensure!((1..=bytes_max).contains(&self.chunk_bytes), "give 1 to {bytes_max} bytes per chunk");
        let at_hand = self.transport == Transport::WebSocket && self.elsewhere.is_none();
        ensure!(
            at_hand || self.stalled + self.storm == 0,
            "crowds and stalled viewers are over WebSocket, without a link"
        );
        let latencies = (f64::from(self.viewers) * self.rate * f64::from(self.seconds)) as u64;
        ensure!(latencies <= LATENCIES_MAX, "that is {latencies} deliveries; at most {LATENCIES_MAX} are measured");
        Ok(())
    }

    /// Makes streams at `target`, loads the server that carries them, and ends them again.
    ///
    /// # Errors
    /// When the load is over a limit, or the servers don't carry it.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        self.check()?;
        if matches!(target, Target::Server(_)) {
            ensure!(self.streams == 1, "a server without a directory carries one stream");
        }
        let mut carried = Vec::new();
        let report = match self.open(target, &mut carried).await {
            Ok(()) => self.put_on(target, &carried).await,
            Err(error) => Err(error),
        };
        for carried in &carried {
            target.close(carried).await;
        }
        report
    }

    async fn open(&self, target: &Target, carried: &mut Vec<Carried>) -> Result<()> {
        for number in 1..=self.streams {
            carried.push(target.open(&format!("Load {number}")).await?);
        }
        Ok(())
    }

    async fn put_on(&self, target: &Target, carried: &[Carried]) -> Result<Report> {
        let clock = MediaClock::start();
        let publishers = carried.iter().map(|carried| Publisher {
            relay: carried.relay.clone(),
            webtransport: carried.webtransport.clone(),
            transport: self.transport,
            ticket: carried.ticket.clone(),
            tls: self.tls.clone(),
            rate: self.rate,
            key_interval: self.key_interval,
            chunk_bytes: self.chunk_bytes,
            clock,
        });
        let (stop, stopped) = watch::channel(false);
        let (registered, mut are_registered) = mpsc::unbounded_channel();
        let publishing = publish(publishers.collect(), registered, stopped)?;
        let mut begun = 0;
        while begun < carried.len() && are_registered.recv().await.is_some() {
            begun += 1;
        }
        // Too few: the publishers have ended, and their own error says why.
        let measured = match begun == carried.len() {
            true => self.watch(target, carried, clock).await,
            false => Err(anyhow!("nothing was published")),
        };
        let _ = stop.send(true);
        let published = publishing.join().map_err(|_| anyhow!("the publisher has panicked"))??;
        Ok(self.report(measured?, published))
    }

    async fn watch(&self, target: &Target, carried: &[Carried], clock: MediaClock) -> Result<Measured> {
        let watching = Watching {
            chunk_bytes: self.chunk_bytes,
            key_interval: self.key_interval,
            interval_us: interval_us(self.rate),
            clock,
            transport: self.transport,
            awake: self.awake,
            namespace: self.elsewhere.as_ref().map(|elsewhere| elsewhere.namespace.clone()),
            window: Arc::new(OnceLock::new()),
        };
        let tls = self.tls.as_ref();
        let mut doors = Vec::new();
        for (number, carried) in carried.iter().enumerate() {
            doors.extend(target.doors(carried, self.viewers_of(number), tls).await?);
        }
        if let Some(elsewhere) = &self.elsewhere {
            doors = doors.into_iter().map(|door| door.reached_at(elsewhere.relay)).collect::<Result<_>>()?;
        }
        let first = carried.first().context("there is no stream")?;
        let stalled = target.doors(first, self.stalled as usize, tls).await?;
        let crowd = target.doors(first, self.storm as usize, tls).await?;

        let resident_before = self.relay_pid.map(resident_bytes).transpose()?;
        let (of_row, threads) = (watching.clone(), self.threads);
        let row = spawn_blocking(move || Crowd::join(doors, threads, &of_row)).await??;
        // They say what they want, and look at nothing that comes.
        let stalled = spawn_blocking(move || stalled.iter().map(Door::enter).collect::<Result<Vec<_>>>()).await??;
        sleep(Duration::from_secs(self.warm_up_seconds.into())).await;

        let load_average_before = load_average();
        let begin_us = clock.now_us();
        let span = Window { begin_us, end_us: begin_us + u64::from(self.seconds) * 1_000_000 };
        let relay_cpu = self.relay_pid.map(process_time).transpose()?;
        let own_cpu = process_time(std::process::id()).ok();
        let resident_begin = self.relay_pid.map(resident_bytes).transpose()?;
        watching.window.set(span).map_err(|_| anyhow!("one window per run"))?;
        let storm = (!crowd.is_empty()).then(|| {
            spawn_blocking(move || {
                thread::sleep(STORM_AFTER);
                storm::run(&crowd, &watching)
            })
        });
        tokio::time::sleep_until(clock.instant(span.end_us).into()).await;
        let relay_cpu_end = self.relay_pid.map(process_time).transpose()?;
        let own_cpu_end = process_time(std::process::id()).ok();
        let resident = self.relay_pid.map(resident_bytes).transpose()?;
        let load_average_after = load_average();
        let storm = match storm {
            Some(storm) => Some(storm.await??),
            None => None,
        };
        let seen = spawn_blocking(move || row.leave()).await??;
        drop(stalled);
        Ok(Measured {
            window: span,
            seen,
            storm,
            relay_cpu: relay_cpu_end.zip(relay_cpu).map(|(end, begin)| end.saturating_sub(begin)),
            own_cpu: own_cpu_end.zip(own_cpu).map(|(end, begin)| end.saturating_sub(begin)),
            resident: [resident_before, resident_begin, resident],
            load_average: [load_average_before, load_average_after],
        })
    }

    /// How many of the viewers watch stream `number`.
    fn viewers_of(&self, number: usize) -> usize {
        let (viewers, streams) = (self.viewers as usize, self.streams as usize);
        viewers / streams + usize::from(number < viewers % streams)
    }

    fn report(&self, measured: Measured, published: Vec<Published>) -> Report {
        let Measured { window, mut seen, storm, relay_cpu, own_cpu, resident, load_average } = measured;
        let due = |(number, published): (usize, &Published)| {
            let planned = (0..).map(|n| published.pace.planned(n).at_us).skip_while(|at_us| *at_us < window.begin_us);
            planned.take_while(|at_us| *at_us < window.end_us).count() as u64 * self.viewers_of(number) as u64
        };
        let latencies = all_latencies(&mut seen);
        let sum = |count: fn(&Seen) -> u64| seen.iter().map(count).sum::<u64>();
        let chunks_delivered = sum(|seen| seen.chunks);
        let relay_cpu_seconds = relay_cpu.map(|cpu| cpu.as_secs_f64());
        let mut late = Latencies::default();
        let in_window = |planned_us: &u64| (window.begin_us..window.end_us).contains(planned_us);
        let sent = published.iter().flat_map(|published| &published.sent);
        sent.filter(|sent| in_window(&sent.planned_us)).for_each(|sent| late.add(sent.late_us));
        let chunks_due = published.iter().enumerate().map(due).sum();
        Report {
            viewers: self.viewers,
            streams: self.streams,
            seconds: self.seconds.into(),
            rate: self.rate,
            chunk_bytes: self.chunk_bytes,
            chunks_due,
            chunks_delivered,
            bytes_delivered: sum(|seen| seen.bytes),
            missing: sum(|seen| seen.order.missing),
            disorder: sum(|seen| seen.order.disorder),
            skips: sum(|seen| seen.skips),
            gap_ms_max: seen.iter().map(|seen| seen.gap_us_max).max().unwrap_or_default() as f64 / 1000.0,
            relay_cpu_seconds,
            relay_us_per_chunk: relay_cpu_seconds
                .filter(|_| chunks_delivered > 0)
                .map(|seconds| seconds * 1e6 / chunks_delivered as f64),
            relay_resident_bytes_before: resident[0],
            relay_resident_bytes_begin: resident[1],
            relay_resident_bytes: resident[2],
            load_cpu_seconds: own_cpu.map(|cpu| cpu.as_secs_f64()),
            publisher_late_ms: late.summary(),
            load_average_before: load_average[0],
            load_average_after: load_average[1],
            storm_first_chunk_ms: storm.and_then(Latencies::summary),
            forwarding_kb_per_s: latencies.speeds(self.chunk_bytes + MEDIA_HEADER_BYTES),
            latency_ms: latencies.summary(),
        }
    }
}

/// Sends all streams from one thread.
fn publish(
    publishers: Vec<Publisher>,
    registered: mpsc::UnboundedSender<()>,
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<Result<Vec<Published>>>> {
    let publish = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut sending = JoinSet::new();
            let count = publishers.len();
            for (number, publisher) in publishers.into_iter().enumerate() {
                // Streams know nothing of each other: their chunks are spread over the time between two of them.
                let offset = Duration::from_secs_f64(number as f64 / count as f64 / publisher.rate);
                let (registered, stopped) = (registered.clone(), stopped.clone());
                sending.spawn(async move { (number, publisher.run(offset, registered, stopped).await) });
            }
            drop(registered);
            let mut published: Vec<_> = sending.join_all().await;
            published.sort_by_key(|(number, _)| *number);
            published.into_iter().map(|(_, published)| published).collect()
        })
    };
    Ok(thread::Builder::new().name("publisher".into()).spawn(publish)?)
}

/// What the viewers' side of a run gives.
#[derive(Debug)]
struct Measured {
    window: Window,
    seen: Vec<Seen>,
    storm: Option<Latencies>,
    relay_cpu: Option<Duration>,
    own_cpu: Option<Duration>,
    resident: [Option<u64>; 3],
    load_average: [Option<f64>; 2],
}

/// Takes them out: there may be a hundred million.
fn all_latencies(seen: &mut [Seen]) -> Latencies {
    let mut all = Latencies::default();
    for viewer in seen {
        all.extend(std::mem::take(&mut viewer.latencies));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_over_a_limit_is_refused_in_words() {
        let good = Load {
            viewers: 300,
            streams: 1,
            rate: 30.0,
            chunk_bytes: 10_400,
            key_interval: 60,
            warm_up_seconds: 3,
            seconds: 20,
            threads: 1,
            awake: false,
            stalled: 0,
            storm: 0,
            relay_pid: None,
            tls: None,
            transport: Transport::WebSocket,
            elsewhere: None,
        };
        assert!(good.check().is_ok());
        for (bad, words) in [
            (Load { viewers: 20_001, ..good.clone() }, "give 1 to 20000 viewers"),
            (Load { streams: 301, ..good.clone() }, "give 1 to 256 streams"),
            (Load { rate: 0.0, ..good.clone() }, "give 1 chunk in 60 seconds to 240 in each"),
            (Load { seconds: 601, ..good.clone() }, "give 1 to 600 seconds"),
            (Load { rate: f64::NAN, ..good.clone() }, "give 1 chunk in 60 seconds"),
            (Load { chunk_bytes: 0, ..good.clone() }, "bytes per chunk"),
            (Load { chunk_bytes: MESSAGE_BYTES_MAX, ..good.clone() }, "bytes per chunk"),
            (Load { key_interval: 0, ..good.clone() }, "at least one chunk"),
            (Load { viewers: 20_000, rate: 240.0, seconds: 600, ..good }, "deliveries"),
        ] {
            let refusal = bad.check().unwrap_err().to_string();
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
