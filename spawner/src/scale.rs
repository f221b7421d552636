//! When relays are started and drained. Pure: time and what is seen go in, one decision comes out.
//!
//! **What decides.** Up: when the head-room of the *best* relay is under a bound. A stream or viewer is placed on one relay, so
//! ten relays with 5 % each have room for nobody, whatever their sum says. Down: by the *mean* that the rest would have once the
//! drained relay's load is spread over it. The best of a set is never under its mean, and the bound for going down is above the
//! one for going up: a relay that was drained isn't missed at once.
//!
//! **What is counted.** The minimum is a promise to people: it counts every relay that serves, whoever started it, and those on
//! their way. The maximum is a bound on cost: it counts what was started here and still runs, draining or broken ones included.

mod backoff;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use protocol::RelayName;

use self::backoff::Backoff;

/// Which relay can be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Any: the emptiest is.
    Emptiest,
    /// Only the one with the highest number after this prefix and a "-", as in a StatefulSet.
    Last(String),
}

/// What an operator allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Fewest relays that serve.
    pub relays_min: u32,
    /// Most relays that are started here.
    pub relays_max: u32,
    /// A relay is started when the best relay has less head-room than this, 0 to 1.
    pub head_room_min: f64,
    /// A relay is drained when the rest would keep at least this much on average, 0 to 1; well above `head_room_min`.
    pub head_room_kept: f64,
    /// How long head-room has to be short before a relay is started: a moment's peak is none.
    pub short_time: Duration,
    /// How long there has to be too much of it before a relay is drained.
    pub calm_time: Duration,
    /// Pause after a change, so that its effect is seen before the next.
    pub cool_down: Duration,
    /// How long a relay may take from its start until it is healthy, and how long it may be unwell later.
    pub start_time_max: Duration,
    /// How long a relay may take to leave before it is told once more.
    pub leave_time_max: Duration,
    /// Which relay can be taken away.
    pub removal: Removal,
}

impl Bounds {
    /// With so many relays, and everything else as the flags have it by default.
    #[must_use]
    pub const fn between(relays_min: u32, relays_max: u32) -> Self {
        Self {
            relays_min,
            relays_max,
            head_room_min: 0.25,
            head_room_kept: 0.5,
            // Two reports of a relay.
            short_time: Duration::from_secs(2),
            calm_time: Duration::from_secs(60),
            cool_down: Duration::from_secs(10),
            start_time_max: Duration::from_secs(60),
            leave_time_max: Duration::from_secs(60),
            removal: Removal::Emptiest,
        }
    }
}

/// A relay as it is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct RelaySeen {
    /// Its name.
    pub name: RelayName,
    /// How much of it is free, 0 to 1.
    pub head_room: f64,
    /// Streams it carries.
    pub streams: u32,
    /// Viewers it serves.
    pub viewers: u32,
    /// Whether it is emptying itself.
    pub draining: bool,
    /// Whether it can take work.
    pub healthy: bool,
    /// Whether it was started here.
    pub ours: bool,
}

/// A relay whose start was asked for, and which has not been healthy yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starting {
    /// Its name.
    pub name: RelayName,
    /// When it was asked for.
    pub since: Instant,
}

/// Why a relay is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Fewer serve than are promised.
    Minimum,
    /// The best relay has too little head-room.
    HeadRoom,
}

/// Why a relay can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surplus {
    /// More were started here than are allowed.
    Maximum,
    /// The others have head-room enough for its people.
    HeadRoom,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start one more relay.
    Start(Need),
    /// Send this relay's people away, and stop it.
    Drain(RelayName, Surplus),
    /// Stop this relay, which serves nobody: it never became healthy, is unwell for too long, or did not leave.
    Stop(RelayName),
    /// Leave everything as it is.
    Nothing,
}

/// Remembers what the decisions depend on besides what is seen.
#[derive(Debug)]
pub struct Scale {
    bounds: Bounds,
    backoff: Backoff,
    changed: Option<Instant>,
    short_since: Option<Instant>,
    calm_since: Option<Instant>,
    unwell: BTreeMap<RelayName, Instant>,
    leaving: BTreeMap<RelayName, Instant>,
}

impl Scale {
    /// Begins within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            backoff: Backoff::default(),
            changed: None,
            short_since: None,
            calm_since: None,
            unwell: BTreeMap::new(),
            leaving: BTreeMap::new(),
        }
    }

    /// Tells that a start could not even be asked for; it was no change, and the next is tried later.
    pub fn start_failed(&mut self, now: Instant) {
        self.backoff.failed(now);
    }

    /// How many starts have failed since one went well.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// What to do now. `relays` holds each relay once, those in `starting` too once they are seen. The caller does what it is
    /// told before it asks again.
    pub fn decide(&mut self, now: Instant, relays: &[RelaySeen], starting: &[Starting]) -> Decision {
        self.note(now, relays, starting);
        let scene = Scene::new(self, now, relays, starting);
        let decision = self
            .stop_what_failed(now, starting, &scene)
            .or_else(|| self.drain_above_the_most(&scene))
            .or_else(|| self.start(now, &scene))
            .or_else(|| self.drain_what_is_not_needed(now, &scene))
            .unwrap_or(Decision::Nothing);
        match &decision {
            Decision::Nothing => {}
            Decision::Start(_) => self.change(now),
            Decision::Drain(name, _) | Decision::Stop(name) => {
                self.leaving.insert(name.clone(), now);
                self.change(now);
            }
        }
        decision
    }

    fn change(&mut self, now: Instant) {
        self.changed = Some(now);
        self.short_since = None;
        self.calm_since = None;
    }

    fn note(&mut self, now: Instant, relays: &[RelaySeen], starting: &[Starting]) {
        let present = |name: &RelayName| {
            relays.iter().any(|relay| relay.name == *name) || starting.iter().any(|start| start.name == *name)
        };
        self.leaving.retain(|name, _| present(name));
        let begun = |name: &RelayName| starting.iter().any(|start| start.name == *name);
        if relays.iter().any(|relay| relay.healthy && begun(&relay.name)) {
            self.backoff.succeeded();
        }
        let unwell = |relay: &&RelaySeen| relay.ours && !relay.healthy && !relay.draining && !begun(&relay.name);
        let unwell: BTreeSet<&RelayName> = relays.iter().filter(unwell).map(|relay| &relay.name).collect();
        self.unwell.retain(|name, _| unwell.contains(name));
        for name in unwell {
            self.unwell.entry(name.clone()).or_insert(now);
        }
    }

    fn stop_what_failed(&mut self, now: Instant, starting: &[Starting], scene: &Scene<'_>) -> Option<Decision> {
        let over = |since: Instant, most: Duration| now.saturating_duration_since(since) >= most;
        let late = starting
            .iter()
            .filter(|start| !self.leaving.contains_key(&start.name) && !scene.serves(&start.name))
            .find(|start| over(start.since, self.bounds.start_time_max) && scene.can_go(&start.name))
            .map(|start| start.name.clone());
        let sick = || {
            let mut unwell =
                self.unwell.iter().filter(|(name, _)| !self.leaving.contains_key(*name) && scene.can_go(name));
            unwell.find(|(_, since)| over(**since, self.bounds.start_time_max)).map(|(name, _)| name.clone())
        };
        if let Some(name) = late.or_else(sick) {
            self.backoff.failed(now);
            return Some(Decision::Stop(name));
        }
        let stuck = self.leaving.iter().find(|(_, since)| over(**since, self.bounds.leave_time_max));
        stuck.map(|(name, _)| Decision::Stop(name.clone()))
    }

    fn drain_above_the_most(&self, scene: &Scene<'_>) -> Option<Decision> {
        let staying = scene.ours.iter().filter(|name| !self.leaving.contains_key(**name)).count();
        let above = staying > self.bounds.relays_max as usize && scene.serving.len() > self.bounds.relays_min as usize;
        let leaves = |relay: &RelaySeen| Decision::Drain(relay.name.clone(), Surplus::Maximum);
        above.then(|| scene.candidate()).flatten().map(leaves)
    }

    fn start(&mut self, now: Instant, scene: &Scene<'_>) -> Option<Decision> {
        let best = scene.serving.iter().map(|relay| head_room(relay)).fold(0.0, f64::max);
        if best >= self.bounds.head_room_min {
            self.short_since = None;
        }
        let may = scene.ours.len() < self.bounds.relays_max as usize && self.backoff.is_over(now);
        let too_few = scene.serving.len() + scene.coming < self.bounds.relays_min as usize;
        if too_few {
            return may.then_some(Decision::Start(Need::Minimum));
        }
        if best >= self.bounds.head_room_min || scene.coming > 0 {
            return None;
        }
        let since = *self.short_since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since) >= self.bounds.short_time;
        (may && lasts && self.is_cool(now)).then_some(Decision::Start(Need::HeadRoom))
    }

    fn drain_what_is_not_needed(&mut self, now: Instant, scene: &Scene<'_>) -> Option<Decision> {
        let candidate = scene.candidate().filter(|_| {
            let fewest = self.bounds.relays_min.max(1) as usize;
            let settled = scene.coming == 0 && self.leaving.is_empty() && !scene.any_draining;
            settled && scene.serving.len() > fewest && scene.mean_without_one() >= self.bounds.head_room_kept
        });
        let Some(candidate) = candidate else {
            self.calm_since = None;
            return None;
        };
        let since = *self.calm_since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since) >= self.bounds.calm_time;
        (lasts && self.is_cool(now)).then(|| Decision::Drain(candidate.name.clone(), Surplus::HeadRoom))
    }

    fn is_cool(&self, now: Instant) -> bool {
        self.changed.is_none_or(|changed| now.saturating_duration_since(changed) >= self.bounds.cool_down)
    }
}

/// What is seen, sorted into what counts for what.
struct Scene<'a> {
    /// Relays that take work.
    serving: Vec<&'a RelaySeen>,
    /// How many are on their way, or were well a moment ago.
    coming: usize,
    /// Everything that was started here and still runs.
    ours: BTreeSet<&'a RelayName>,
    any_draining: bool,
    last: Option<&'a RelayName>,
    removal: Removal,
}

impl<'a> Scene<'a> {
    fn new(scale: &Scale, now: Instant, relays: &'a [RelaySeen], starting: &'a [Starting]) -> Self {
        let stays = |name: &RelayName| !scale.leaving.contains_key(name);
        let serving: Vec<_> =
            relays.iter().filter(|relay| relay.healthy && !relay.draining && stays(&relay.name)).collect();
        let serves = |name: &RelayName| serving.iter().any(|relay| relay.name == *name);
        let recent = |since: &Instant| now.saturating_duration_since(*since) < scale.bounds.start_time_max;
        let begun =
            starting.iter().filter(|start| stays(&start.name) && !serves(&start.name) && recent(&start.since)).count();
        let unwell = scale.unwell.iter().filter(|(name, since)| stays(name) && recent(since)).count();
        let ours: BTreeSet<_> = relays
            .iter()
            .filter(|relay| relay.ours)
            .map(|relay| &relay.name)
            .chain(starting.iter().map(|start| &start.name))
            .collect();
        let last = match &scale.bounds.removal {
            Removal::Emptiest => None,
            Removal::Last(prefix) => {
                ours.iter().copied().max_by_key(|name| crate::names::number(prefix, name).map_or(-1, i64::from))
            }
        };
        Self {
            coming: begun + unwell,
            any_draining: relays.iter().any(|relay| relay.draining),
            removal: scale.bounds.removal.clone(),
            serving,
            ours,
            last,
        }
    }

    fn serves(&self, name: &RelayName) -> bool {
        self.serving.iter().any(|relay| relay.name == *name)
    }

    fn can_go(&self, name: &RelayName) -> bool {
        self.removal == Removal::Emptiest || self.last == Some(name)
    }

    /// The relay whose leaving moves the fewest people; of equals the one whose name comes last.
    fn candidate(&self) -> Option<&'a RelaySeen> {
        let mut ours =
            self.serving.iter().filter(|relay| relay.ours && self.can_go(&relay.name)).copied().collect::<Vec<_>>();
        ours.sort_by(|a, b| people(a).cmp(&people(b)).then_with(|| b.name.cmp(&a.name)));
        ours.first().copied()
    }

    /// The mean head-room when one relay's place is gone and its load is spread over the rest.
    fn mean_without_one(&self) -> f64 {
        let room: f64 = self.serving.iter().map(|relay| head_room(relay)).sum();
        let rest = self.serving.len().saturating_sub(1);
        if rest == 0 { 0.0 } else { (room - 1.0) / rest as f64 }
    }
}

fn people(relay: &RelaySeen) -> u64 {
    u64::from(relay.streams) + u64::from(relay.viewers)
}

/// What is reported may be anything: a number that is none counts as full.
fn head_room(relay: &RelaySeen) -> f64 {
    if relay.head_room.is_finite() { relay.head_room.clamp(0.0, 1.0) } else { 0.0 }
}
