//! Brings decisions and machinery together: looks once a second, decides, does it, and tells how things stand.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::RelayName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Names, Phase, SpawnError, Spawned, Spawner,
    scale::{Bounds, Decision, Need, RelaySeen, Removal, Scale, Starting, Surplus},
};

/// How often is looked: as often as relays report.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the fleet needs to know and have done by whoever hands out relays.
pub trait Relays: Send + Sync {
    /// All relays it sees now; `ours` is filled in by the fleet.
    fn seen(&self) -> Vec<RelaySeen>;

    /// Gives this relay no new work, and has its streams move. The relay is asked to end right after.
    fn drain(&self, name: &RelayName);
}

/// How things stand, for metrics and for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Relays that were started here and run.
    pub running: u32,
    /// Those of them that have not been healthy yet.
    pub starting: u32,
    /// Those that send their people away.
    pub stopping: u32,
    /// How often running ones ended by themselves and were started again.
    pub restarts: u32,
    /// Starts asked for since the fleet began.
    pub starts_total: u64,
    /// Drains and stops asked for since the fleet began.
    pub stops_total: u64,
    /// Starts that failed since one went well.
    pub failures: u32,
    /// What went wrong last, until something goes well.
    pub problem: Option<String>,
}

/// The relays that start and stop by themselves.
#[derive(Debug)]
pub struct Fleet {
    spawner: Arc<dyn Spawner>,
    scale: Scale,
    names: Names,
    start_time_max: Duration,
    starting: BTreeMap<RelayName, Instant>,
    status: watch::Sender<Status>,
}

impl Fleet {
    /// A fleet that `spawner` runs within `bounds`; what that can take away decides `bounds.removal`.
    #[must_use]
    pub fn new(spawner: Arc<dyn Spawner>, mut bounds: Bounds, names: Names) -> Self {
        bounds.removal = spawner.removal();
        Self {
            spawner,
            start_time_max: bounds.start_time_max,
            scale: Scale::new(bounds),
            names,
            starting: BTreeMap::new(),
            status: watch::Sender::default(),
        }
    }

    /// How things stand, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Looks and acts until `stopping`; then ends what can't outlive this process.
    pub async fn run(mut self, relays: Arc<dyn Relays>, stopping: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(looks.tick()).await.is_some() {
            // Whatever is begun is finished: half a start would leave a relay that nobody knows.
            self.step(Instant::now(), relays.as_ref()).await;
        }
        self.spawner.close().await;
    }

    /// One look, and what follows from it.
    pub async fn step(&mut self, now: Instant, relays: &dyn Relays) -> Decision {
        let listed = match self.spawner.list().await {
            Ok(listed) => listed,
            Err(error) => {
                // Without knowing what runs, every decision could be one relay too many.
                self.complain("what runs can't be told, so nothing is started or stopped", &error);
                return Decision::Nothing;
            }
        };
        self.clear_ended(now, &listed).await;
        let seen = merge(relays.seen(), &listed);
        let starting: Vec<_> =
            self.starting.iter().map(|(name, since)| Starting { name: name.clone(), since: *since }).collect();
        let decision = self.scale.decide(now, &seen, &starting);
        for relay in seen.iter().filter(|relay| relay.healthy) {
            if let Some(since) = self.starting.remove(&relay.name) {
                info!(relay = %relay.name, duration_ms = now.saturating_duration_since(since).as_millis(), "a started relay serves");
                self.status.send_modify(|status| status.problem = None);
            }
        }
        self.act(now, &decision, &seen, relays).await;
        self.tell(&listed);
        decision
    }

    async fn act(&mut self, now: Instant, decision: &Decision, seen: &[RelaySeen], relays: &dyn Relays) {
        match decision {
            Decision::Nothing => {}
            Decision::Start(need) => self.start(now, *need, seen).await,
            Decision::Drain(name, surplus) => {
                match surplus {
                    Surplus::Maximum => info!(relay = %name, "more relays run than may: draining one"),
                    Surplus::HeadRoom => info!(relay = %name, "there is more head-room than needed: draining a relay"),
                }
                relays.drain(name);
                self.stop(name).await;
            }
            Decision::Stop(name) => {
                if self.starting.remove(name).is_some() {
                    self.avoid(name);
                    let time_max = self.start_time_max.as_secs();
                    self.problem(format!("{name} was started and did not serve within {time_max} s"));
                }
                warn!(relay = %name, "stopping a relay that does not serve");
                self.stop(name).await;
            }
        }
    }

    async fn start(&mut self, now: Instant, need: Need, seen: &[RelaySeen]) {
        let taken = |name: &RelayName| seen.iter().any(|relay| relay.name == *name) || self.starting.contains_key(name);
        let Some(name) = self.names.free(taken) else {
            return self.scale.start_failed(now);
        };
        match need {
            Need::Minimum => info!(relay = %name, "fewer relays serve than should at least: starting one"),
            Need::HeadRoom => info!(relay = %name, "head-room is short: starting a relay"),
        }
        self.status.send_modify(|status| status.starts_total += 1);
        match self.spawner.start(&name).await {
            Ok(()) => {
                self.starting.insert(name, now);
            }
            Err(error) => {
                self.scale.start_failed(now);
                self.avoid(&name);
                self.complain(&format!("{name} could not be started"), &error);
            }
        }
    }

    async fn stop(&self, name: &RelayName) {
        self.status.send_modify(|status| status.stops_total += 1);
        if let Err(error) = self.spawner.stop(name).await {
            self.complain(&format!("{name} could not be stopped, and will be told once more"), &error);
        }
    }

    async fn clear_ended(&mut self, now: Instant, listed: &[Spawned]) {
        for ended in listed.iter().filter(|spawned| spawned.phase == Phase::Ended) {
            if self.starting.remove(&ended.name).is_some() {
                self.scale.start_failed(now);
                self.avoid(&ended.name);
                self.problem(format!("{} ended before it served; its log says why", ended.name));
            }
            self.stop(&ended.name).await;
        }
    }

    /// In a row that grows at its end there is no other name to try.
    fn avoid(&mut self, name: &RelayName) {
        if self.spawner.removal() == Removal::Emptiest {
            self.names.avoid(name.clone());
        }
    }

    fn complain(&self, what: &str, error: &SpawnError) {
        self.problem(format!("{what}: {error}"));
    }

    /// Says it once, as the same thing may go wrong each second.
    fn problem(&self, words: String) {
        self.status.send_if_modified(|status| {
            let new = status.problem.as_ref() != Some(&words);
            if new {
                warn!("{words}");
                status.problem = Some(words);
            }
            new
        });
    }

    fn tell(&self, listed: &[Spawned]) {
        let count = |phase: Phase| listed.iter().filter(|spawned| spawned.phase == phase).count() as u32;
        let (running, stopping) = (count(Phase::Running), count(Phase::Stopping));
        let restarts = listed.iter().map(|spawned| spawned.restarts).sum();
        let (starting, failures) = (self.starting.len() as u32, self.scale.failures());
        self.status.send_if_modified(|status| {
            let new = Status { running, starting, stopping, restarts, failures, ..status.clone() };
            let changed = *status != new;
            *status = new;
            changed
        });
    }
}

/// Marks which of the relays were started here, and adds those that run but are not seen.
fn merge(mut seen: Vec<RelaySeen>, listed: &[Spawned]) -> Vec<RelaySeen> {
    let running = || listed.iter().filter(|spawned| spawned.phase != Phase::Ended);
    for relay in &mut seen {
        let spawned = running().find(|spawned| spawned.name == relay.name);
        relay.ours = spawned.is_some();
        relay.draining |= spawned.is_some_and(|spawned| spawned.phase == Phase::Stopping);
    }
    for spawned in running() {
        if !seen.iter().any(|relay| relay.name == spawned.name) {
            seen.push(RelaySeen {
                name: spawned.name.clone(),
                head_room: 0.0,
                streams: 0,
                viewers: 0,
                draining: spawned.phase == Phase::Stopping,
                healthy: false,
                ours: true,
            });
        }
    }
    seen
}
