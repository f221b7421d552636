//! What operators see of the directory at `/metrics`.

mod spawned;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

pub use self::spawned::{Phase, Spawned};
use crate::registry::Counts;

/// The state of some streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct State {
    /// `starting`, `live` or `interrupted`.
    pub state: &'static str,
}

/// The health of some relays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Health {
    /// `ready`, `suspect`, `busy`, `full`, `draining` or `unchecked`.
    pub health: &'static str,
}

/// What was asked and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// The route's pattern, `page` for pages and assets; never what a client made up.
    pub route: String,
    /// The HTTP method; `other` for those that no route has.
    pub method: &'static str,
    /// The HTTP status.
    pub code: u16,
}

/// Why something went as it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// A word for it; of refusals the error code of the answer.
    pub reason: &'static str,
}

/// The directory's metrics. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Streams by state.
    pub streams: Family<State, Gauge>,
    /// Relays by health.
    pub relays: Family<Health, Gauge>,
    /// Viewers over all relays, as they told last.
    pub viewers: Gauge<u64, AtomicU64>,
    /// Open event streams of the list.
    pub event_readers: Gauge,
    /// Streams made since the start.
    pub streams_created: Counter,
    /// Streams brought back by their broadcasters since the start.
    pub streams_restored: Counter,
    /// Streams told to move to another relay since the start.
    pub streams_moved: Counter,
    /// Streams among them that left a relay because it had too much to do.
    pub streams_moved_from_hot: Counter,
    /// Relays that clients said do not serve, since the start.
    pub relays_reported: Counter,
    /// Bytes of media per second over all relays, as they told last.
    pub egress_bytes_per_second: Gauge<u64, AtomicU64>,
    /// Relays that lost their names by silence since the start.
    pub relays_lost: Counter,
    /// Requests answered since the start.
    pub requests: Family<Request, Counter>,
    /// Registrations refused since the start.
    pub refused_registrations: Family<Reason, Counter>,
    /// Relays' public addresses dialled since the start, by what came of it.
    pub relay_checks: Family<Reason, Counter>,
    /// Streams and viewers refused since the start.
    pub refused: Family<Reason, Counter>,
    /// Viewers removed by broadcasters since the start.
    pub viewers_removed: Counter,
    /// Whether what this directory knows is shared with others.
    pub store_joined: Gauge,
    /// Directories that share the store, this one included; none while it is away.
    pub directories: Gauge,
    /// Changes told to the store since the start, by what came of them.
    pub store_writes: Family<Reason, Counter>,
    /// Changes taken over from other directories since the start.
    pub store_absorbed: Counter,
    /// Times that the store went away since the start.
    pub store_lost: Counter,
    /// Relays that start and stop by themselves.
    pub spawned: Spawned,
}

impl Metrics {
    /// Makes the metrics known to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let directory = registry.sub_registry_with_prefix("directory");
        directory.register("streams", "Streams by state", self.streams.clone());
        directory.register("relays", "Relays that hold a name, by health", self.relays.clone());
        directory.register("viewers", "Viewers over all relays", self.viewers.clone());
        directory.register("event_readers", "Open event streams of the list", self.event_readers.clone());
        directory.register("streams_created", "Streams made", self.streams_created.clone());
        directory.register("streams_restored", "Streams brought back", self.streams_restored.clone());
        directory.register("streams_moved", "Streams told to move to another relay", self.streams_moved.clone());
        let from_hot = self.streams_moved_from_hot.clone();
        directory.register("streams_moved_from_hot", "Streams told to leave a relay that has too much to do", from_hot);
        directory.register("relays_reported", "Relays that clients could not use", self.relays_reported.clone());
        let egress = self.egress_bytes_per_second.clone();
        directory.register("egress_bytes_per_second", "Bytes of media per second over all relays", egress);
        directory.register("relays_lost", "Relays lost by silence", self.relays_lost.clone());
        directory.register("requests", "Requests answered, by route, method and status", self.requests.clone());
        directory.register("refused_registrations", "Relays refused, by reason", self.refused_registrations.clone());
        directory.register("relay_checks", "Relays dialled, by what came of it", self.relay_checks.clone());
        directory.register("refused", "Calls refused, by reason", self.refused.clone());
        directory.register("viewers_removed", "Viewers removed by broadcasters", self.viewers_removed.clone());
        directory.register("store_joined", "1 while what is known here is shared", self.store_joined.clone());
        directory.register("directories", "Directories that share the store", self.directories.clone());
        directory.register(
            "store_writes",
            "Changes told to the store, by what came of them",
            self.store_writes.clone(),
        );
        directory.register("store_absorbed", "Changes taken over from other directories", self.store_absorbed.clone());
        directory.register("store_lost", "Times that the store went away", self.store_lost.clone());
        self.spawned.register(directory);
    }

    /// Takes over how much there is of everything.
    pub(crate) fn set_counts(&self, counts: &Counts) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, streams) in
            [("starting", counts.starting), ("live", counts.live), ("interrupted", counts.interrupted)]
        {
            self.streams.get_or_create(&State { state }).set(count(streams));
        }
        for (health, relays) in [
            ("ready", counts.ready),
            ("suspect", counts.suspect),
            ("busy", counts.busy),
            ("full", counts.full),
            ("draining", counts.draining),
            ("unchecked", counts.unchecked),
        ] {
            self.relays.get_or_create(&Health { health }).set(count(relays));
        }
        self.viewers.set(counts.viewers);
        self.egress_bytes_per_second.set(counts.egress_bytes_per_s);
    }
}
