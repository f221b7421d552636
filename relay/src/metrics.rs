//! What this relay counts, for `/metrics`. One struct, passed in; labels have few values, and none comes from outside.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::{ErrorCode, MediaKind};

use crate::{
    load::Lag,
    stream::window::{SkipReason, Skipped},
};

/// All metrics of a relay.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Streams carried now.
    pub streams: Gauge,
    /// Publishers connected now.
    pub publishers: Gauge,
    /// Viewers connected now.
    pub viewers: Gauge,
    /// Relays that pull a stream from here now, each once for every stream.
    pub edges: Gauge,
    /// Streams that come from other relays now.
    pub pulls: Gauge,
    /// Sessions by WebTransport with other relays that streams are pulled from, or tried to be.
    pub webtransport_upstreams: Gauge,
    /// Connections open now, those that have not said yet who they are included.
    pub connections: Gauge,
    /// Those of them that came by WebTransport.
    pub webtransport_sessions: Gauge,
    /// Arrivals by WebTransport of which no session came about.
    pub webtransport_failures: Counter,
    /// Bytes of media messages from publishers.
    pub bytes_in: Counter,
    /// Chunks from publishers.
    pub chunks_in: Counter,
    /// Bytes of media messages from other relays.
    pub upstream_bytes_in: Counter,
    /// Chunks from other relays that were taken in.
    pub upstream_chunks_in: Counter,
    /// Attempts to pull a stream that came to nothing, by reason.
    pub upstream_failures: Family<Labels, Counter>,
    /// Bytes of media messages to viewers and to other relays.
    pub bytes_out: Counter,
    /// Chunks to viewers and to other relays.
    pub chunks_out: Counter,
    /// Viewers whose connection this relay ended, by reason.
    pub viewers_dropped: Family<Labels, Counter>,
    /// Relays that pulled from here, and whose connection this relay ended, by reason.
    pub edges_dropped: Family<Labels, Counter>,
    /// Publishers whose connection this relay ended, by reason.
    pub publishers_dropped: Family<Labels, Counter>,
    /// Chunks that were left out for viewers or other relays, by reason.
    pub chunks_skipped: Family<Labels, Counter>,
    /// Connections that were not let in, by error code.
    pub connections_refused: Family<Labels, Counter>,
    /// How often a publisher was read later, because it sent too much.
    pub publisher_pauses: Counter,
    /// Tickets renewed over open connections.
    pub tickets_renewed: Counter,
    /// Answers to somebody who asked who this relay is.
    pub identified: Counter,
    /// Heartbeats and registrations that failed.
    pub heartbeat_failures: Counter,
    /// Connections that could not be accepted.
    pub accept_failures: Counter,
    /// 99th percentile of [`Self::lag`] as it was reported last, in milliseconds.
    pub send_lag_ms: Gauge,
    /// How long chunks wait before they are handed over to a viewer's socket.
    pub lag: Lag,
}

/// The one label: why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// A fixed word.
    pub reason: Reason,
}

/// A fixed word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason(pub &'static str);

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

impl Metrics {
    /// Makes the metrics visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let relay = registry.sub_registry_with_prefix("relay");
        relay.register("streams", "Streams carried now", self.streams.clone());
        relay.register("publishers", "Publishers connected now", self.publishers.clone());
        relay.register("viewers", "Viewers connected now", self.viewers.clone());
        relay.register("edges", "Relays that pull a stream from here now", self.edges.clone());
        relay.register("pulls", "Streams that come from other relays now", self.pulls.clone());
        relay.register(
            "webtransport_upstreams",
            "Sessions by WebTransport with relays that streams are pulled from",
            self.webtransport_upstreams.clone(),
        );
        relay.register("connections", "Connections open now", self.connections.clone());
        relay.register(
            "webtransport_sessions",
            "Those of them that came by WebTransport",
            self.webtransport_sessions.clone(),
        );
        relay.register(
            "webtransport_failures",
            "Arrivals by WebTransport without a session",
            self.webtransport_failures.clone(),
        );
        relay.register("media_bytes_in", "Bytes of media messages from publishers", self.bytes_in.clone());
        relay.register("chunks_in", "Chunks from publishers", self.chunks_in.clone());
        relay.register("media_bytes_out", "Bytes of media messages to viewers and relays", self.bytes_out.clone());
        relay.register("chunks_out", "Chunks to viewers and relays", self.chunks_out.clone());
        relay.register(
            "upstream_bytes_in",
            "Bytes of media messages from other relays",
            self.upstream_bytes_in.clone(),
        );
        relay.register("upstream_chunks_in", "Chunks taken in from other relays", self.upstream_chunks_in.clone());
        relay.register("upstream_failures", "Attempts to pull that came to nothing", self.upstream_failures.clone());
        relay.register("edges_dropped", "Relays disconnected by this one", self.edges_dropped.clone());
        relay.register("viewers_dropped", "Viewers disconnected by the relay", self.viewers_dropped.clone());
        relay.register("publishers_dropped", "Publishers disconnected by the relay", self.publishers_dropped.clone());
        relay.register("chunks_skipped", "Chunks left out for viewers", self.chunks_skipped.clone());
        relay.register("connections_refused", "Connections not let in", self.connections_refused.clone());
        relay.register("publisher_pauses", "Publishers read later for sending too much", self.publisher_pauses.clone());
        relay.register("tickets_renewed", "Tickets renewed over open connections", self.tickets_renewed.clone());
        relay.register("identified", "Answers to who this relay is", self.identified.clone());
        relay.register("accept_failures", "Connections that could not be accepted", self.accept_failures.clone());
        relay.register(
            "send_lag_milliseconds",
            "99th percentile of the time from a chunk's arrival to its handing over to a viewer's socket",
            self.send_lag_ms.clone(),
        );
        relay.register(
            "heartbeat_failures",
            "Heartbeats and registrations that failed",
            self.heartbeat_failures.clone(),
        );
    }

    /// A media message came in.
    pub fn took_in(&self, kind: MediaKind, bytes: u64) {
        self.bytes_in.inc_by(bytes);
        if kind == MediaKind::Chunk {
            self.chunks_in.inc();
        }
    }

    /// A viewer was left without chunks.
    pub fn skipped(&self, skipped: &Skipped) {
        let reason = match skipped.reason {
            SkipReason::Behind => "behind",
            SkipReason::Evicted => "evicted",
            SkipReason::Restarted => "restarted",
            SkipReason::Upstream => "upstream",
        };
        self.chunks_skipped.get_or_create(&labels(reason)).inc_by(skipped.chunks);
    }

    /// A connection was not let in.
    pub fn refused(&self, code: ErrorCode) {
        self.connections_refused.get_or_create(&labels(code.as_str())).inc();
    }

    /// This relay ended a viewer's connection.
    pub fn dropped_viewer(&self, reason: &'static str) {
        self.viewers_dropped.get_or_create(&labels(reason)).inc();
    }

    /// This relay ended the connection of one that pulled from it.
    pub fn dropped_edge(&self, reason: &'static str) {
        self.edges_dropped.get_or_create(&labels(reason)).inc();
    }

    /// Another relay did not send a stream.
    pub fn upstream_failed(&self, reason: &'static str) {
        self.upstream_failures.get_or_create(&labels(reason)).inc();
    }

    /// This relay ended a publisher's connection.
    pub fn dropped_publisher(&self, reason: &'static str) {
        self.publishers_dropped.get_or_create(&labels(reason)).inc();
    }
}

const fn labels(reason: &'static str) -> Labels {
    Labels { reason: Reason(reason) }
}
