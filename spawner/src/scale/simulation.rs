//! A world to try decisions in: a load that is shared by the relays that serve, starts that take time or fail, and leaving that takes
//! time. A second is a step.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use protocol::RelayName;

use super::{Bounds, Decision, RelaySeen, Scale, Starting};

pub(super) fn bounds(relays_min: u32, relays_max: u32) -> Bounds {
    Bounds { start_time_max: Duration::from_secs(30), ..Bounds::between(relays_min, relays_max) }
}

/// How a start goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// It serves after so many seconds.
    Serves(u64),
    /// It runs, and never serves.
    NeverServes,
    /// It can't even be asked for.
    Refused,
}

#[derive(Debug, Clone, Copy)]
enum Life {
    Booting { serves_at: Option<Instant> },
    Serving,
    Leaving { gone_at: Instant },
}

pub(super) struct World {
    pub(super) scale: Scale,
    pub(super) bounds: Bounds,
    pub(super) begun: Instant,
    pub(super) now: Instant,
    /// What is asked of all relays together; 1 fills one.
    pub(super) load: f64,
    /// Relays of others, which serve for ever.
    pub(super) foreign: usize,
    relays: BTreeMap<RelayName, Life>,
    starting: Vec<Starting>,
    numbers: u32,
}

impl World {
    pub(super) fn new(bounds: Bounds, foreign: usize) -> Self {
        let now = Instant::now();
        Self {
            scale: Scale::new(bounds.clone()),
            bounds,
            begun: now,
            now,
            load: 0.0,
            foreign,
            relays: BTreeMap::new(),
            starting: Vec::new(),
            numbers: 0,
        }
    }

    /// Relays of ours that are not gone.
    pub(super) fn running(&self) -> usize {
        self.relays.len()
    }

    /// Relays that serve, those of others too.
    pub(super) fn serving(&self) -> usize {
        self.relays.values().filter(|life| matches!(life, Life::Serving)).count() + self.foreign
    }

    pub(super) fn head_room(&self) -> f64 {
        match self.serving() {
            0 => 0.0,
            serving => (1.0 - self.load / serving as f64).max(0.0),
        }
    }

    /// One second: what was begun goes on, and one decision is taken and done.
    pub(super) fn step(&mut self, start: Start) -> Decision {
        self.now += Duration::from_secs(1);
        let now = self.now;
        for life in self.relays.values_mut() {
            if matches!(life, Life::Booting { serves_at: Some(at) } if *at <= now) {
                *life = Life::Serving;
            }
        }
        self.relays.retain(|_, life| !matches!(life, Life::Leaving { gone_at } if *gone_at <= now));
        let seen = self.seen();
        let decision = self.scale.decide(now, &seen, &self.starting);
        self.starting.retain(|start| !seen.iter().any(|relay| relay.name == start.name && relay.healthy));
        match &decision {
            Decision::Start(_) => self.start(start),
            Decision::Drain(name, _) | Decision::Stop(name) => {
                self.starting.retain(|start| start.name != *name);
                self.relays.insert(name.clone(), Life::Leaving { gone_at: now + Duration::from_secs(15) });
            }
            Decision::Nothing => {}
        }
        decision
    }

    fn start(&mut self, start: Start) {
        let serves_at = match start {
            Start::Refused => return self.scale.start_failed(self.now),
            Start::NeverServes => None,
            Start::Serves(seconds) => Some(self.now + Duration::from_secs(seconds)),
        };
        let name: RelayName = format!("spawned-{}", self.numbers).parse().unwrap();
        self.numbers += 1;
        self.relays.insert(name.clone(), Life::Booting { serves_at });
        self.starting.push(Starting { name, since: self.now });
    }

    fn seen(&self) -> Vec<RelaySeen> {
        let head_room = self.head_room();
        let relay = |name: RelayName, life: Option<&Life>| RelaySeen {
            name,
            head_room,
            streams: 1,
            viewers: 1,
            draining: matches!(life, Some(Life::Leaving { .. })),
            healthy: matches!(life, None | Some(Life::Serving)),
            ours: life.is_some(),
        };
        let others = (0..self.foreign).map(|number| relay(format!("other-{number}").parse().unwrap(), None));
        self.relays.iter().map(|(name, life)| relay(name.clone(), Some(life))).chain(others).collect()
    }
}
