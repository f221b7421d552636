//! What every connection needs to know of its relay.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use protocol::{
    RelayName, Secret,
    signing::{PublicKey, SigningKey},
};
use service::Clock;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    connection::End, drain::Drain, edge::Edges, metrics::Metrics, rate::Attempts, standing::Standing,
    stream::streams::Streams, webtransport::Offer,
};

/// The relay, as its connections see it.
#[derive(Debug)]
pub struct House {
    /// The relay's name, which tickets must name.
    pub name: RelayName,
    /// The address people reach it at.
    pub url: Url,
    /// What the relay is: its key.
    pub key: SigningKey,
    /// The key that tickets are verified with; none before the relay has joined a directory for the first time.
    pub ticket_key: RwLock<Option<PublicKey>>,
    /// What the directory gave it to show to other relays; none before it has joined for the first time.
    pub membership: RwLock<Option<Secret>>,
    /// How it stands with its directory.
    pub standing: Standing,
    /// The streams.
    pub streams: Streams,
    /// Where WebTransport is offered; none where it is not.
    pub webtransport: Option<Offer>,
    /// What it pulls from other relays.
    pub edges: Edges,
    /// The time of day.
    pub clock: Clock,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// How often tickets are used.
    pub attempts: Attempts,
    /// Most bytes per second read from one broadcaster.
    pub publisher_bytes_per_s_max: u64,
    /// How long the first message may take.
    pub first_message_time_max: Duration,
    /// Whether it gets rid of its streams.
    pub drain: Drain,
    /// Cancelled when the relay is to stop.
    pub stopping: CancellationToken,
}

impl House {
    /// How connections end when the era does.
    pub(crate) fn end_of_era(&self) -> End {
        if self.stopping.is_cancelled() { End::Stopping } else { End::Revoked }
    }
}
