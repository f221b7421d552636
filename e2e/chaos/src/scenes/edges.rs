//! One stream on many relays, before a crowd; then a relay that only hands on dies, and then the one that takes the stream in.

use std::{fs, time::Duration};

use stage::Plan;
use tokio::time::sleep;

use super::mended;
use crate::{
    now_us,
    player::Tempo,
    show::{Sender, Show},
    source::Programme,
    tape::{Event, Tape},
};

/// How often one of many players looks at its clocks: not so often that it is the load.
const TEMPO: Tempo = Tempo(Duration::from_millis(200));

/// Clock ticks of a second in /proc, on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// How many there are.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Relays.
    pub relays: usize,
    /// Viewers.
    pub viewers: usize,
    /// What they watch.
    pub programme: Programme,
    /// How long the cost is measured.
    pub measured: Duration,
}

/// One relay of the crowd, over the measured time.
#[derive(Debug, Clone)]
pub struct Share {
    /// Its name.
    pub relay: String,
    /// Viewers here.
    pub viewers: usize,
    /// Share of one core.
    pub cpu: f64,
    /// Chunks it took in for each chunk that was made.
    pub taken_in: f64,
    /// Resident memory in MiB.
    pub memory_mib: f64,
}

/// What came of it.
#[derive(Debug)]
pub struct Crowded {
    /// All relays.
    pub shares: Vec<Share>,
    /// What everybody saw.
    pub tape: Tape,
    /// An edge was killed, when there was one.
    pub edge_killed: Option<Event>,
    /// The origin was killed.
    pub origin_killed: Event,
}

/// Plays it.
pub async fn edges(crowd: &Crowd) -> Crowded {
    let plan = Plan::of_relays(crowd.relays, false);
    let sender = Sender::Source(crowd.programme.clone());
    let mut show = Show::begin(&plan, sender, crowd.viewers, TEMPO).await;
    show.calm().await;
    let shares = measure(&show, crowd).await;
    let origin = show.origin().await;
    let busiest = show.spread().into_iter().filter(|(name, _)| *name != origin).max_by_key(|&(_, viewers)| viewers);
    let mut edge_killed = None;
    if let Some((name, 1..)) = busiest {
        let at = now_us();
        show.system.kill(&name).await;
        edge_killed = Some(mended(&show, at).await);
    }
    let origin = show.origin().await;
    let at = now_us();
    show.system.kill(&origin).await;
    let origin_killed = mended(&show, at).await;
    Crowded { shares, tape: show.end().await, edge_killed, origin_killed }
}

async fn measure(show: &Show, crowd: &Crowd) -> Vec<Share> {
    let names = show.system.relays();
    let mut before = vec![];
    for name in &names {
        before.push((cpu_s(show, name), show.system.metric(name, "relay_chunks_in_total").await));
    }
    let begun = tokio::time::Instant::now();
    sleep(crowd.measured).await;
    let spread = show.spread();
    let mut shares = vec![];
    for ((name, (cpu, chunks)), (_, viewers)) in names.into_iter().zip(before).zip(spread) {
        let seconds = begun.elapsed().as_secs_f64();
        let now = show.system.metric(&name, "relay_chunks_in_total").await;
        let taken_in = now.zip(chunks).map_or(0.0, |(now, then)| now - then);
        shares.push(Share {
            viewers,
            cpu: (cpu_s(show, &name) - cpu) / seconds,
            taken_in: taken_in / seconds / f64::from(crowd.programme.rate),
            memory_mib: memory_mib(show, &name),
            relay: name,
        });
    }
    shares
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
