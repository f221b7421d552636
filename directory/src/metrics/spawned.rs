//! What operators see of relays that start and stop by themselves.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use spawner::Status;

/// Where some started relays are in their life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Phase {
    /// `running`, of which `starting` have not served yet, or `stopping`.
    pub phase: &'static str,
}

/// The relays that were started here. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Spawned {
    /// How many there are.
    pub relays: Family<Phase, Gauge>,
    /// Starts asked for since the start.
    pub starts: Counter,
    /// Drains and stops asked for since the start.
    pub stops: Counter,
    /// Relays that failed by themselves and were started again, since the start.
    pub restarts: Counter,
    /// Starts that have failed since one went well.
    pub failures: Gauge,
}

impl Spawned {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("spawned_relays", "Relays that were started here, by phase", self.relays.clone());
        registry.register("spawn_starts", "Starts of relays asked for", self.starts.clone());
        registry.register("spawn_stops", "Drains and stops of started relays asked for", self.stops.clone());
        registry.register("spawn_restarts", "Started relays that failed and were started again", self.restarts.clone());
        registry.register("spawn_failures", "Starts that have failed since one went well", self.failures.clone());
    }

    /// Takes over how it stands; `before` is how it stood the last time.
    pub(crate) fn set(&self, before: &Status, now: &Status) {
        for (phase, relays) in [("running", now.running), ("starting", now.starting), ("stopping", now.stopping)] {
            self.relays.get_or_create(&Phase { phase }).set(relays.into());
        }
        self.starts.inc_by(now.starts_total.saturating_sub(before.starts_total));
        self.stops.inc_by(now.stops_total.saturating_sub(before.stops_total));
        // The restarts of a relay that has gone are not told any more.
        self.restarts.inc_by(now.restarts.saturating_sub(before.restarts).into());
        self.failures.set(now.failures.into());
    }
}
