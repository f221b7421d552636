//! A stream that goes on at other relays: its viewers are told where, one after the other, so that they don't all arrive there at
//! the same instant.

use std::{sync::Arc, time::Duration};

use protocol::{
    ViewerId,
    http::RelayAddress,
    limits::{MOVE_OVERLAP_TIME_MAX, RELAY_URL_BYTES_MAX, TICKET_RELAYS_MAX},
};
use tokio::time::Instant;

/// Over how much time the viewers are told.
const TELLING_TIME: Duration = Duration::from_secs(1);

/// Where a stream goes on.
#[derive(Debug, Clone)]
pub(super) struct Moving {
    relays: Arc<[RelayAddress]>,
    since: Instant,
}

impl Moving {
    /// The stream goes on at `relays`, as was said at `now`.
    pub(super) fn new(relays: Vec<RelayAddress>, now: Instant) -> Self {
        Self { relays: relays.into(), since: now }
    }

    /// What `viewer` is to be told at `now`, or a relay: where to go, and how many milliseconds the stream still comes here. `None`:
    /// not yet.
    pub(super) fn told(&self, viewer: Option<ViewerId>, now: Instant) -> Option<(Arc<[RelayAddress]>, u32)> {
        let since = now.duration_since(self.since);
        // Viewers are drawn at random, so their numbers are spread evenly. Relays are few, and have viewers behind them.
        let turn = viewer.map_or(0, |viewer| viewer.0 % TELLING_TIME.as_millis() as u64);
        let turn = Duration::from_millis(turn);
        let within = MOVE_OVERLAP_TIME_MAX.saturating_sub(since);
        (since >= turn).then(|| (Arc::clone(&self.relays), within.as_millis() as u32))
    }

    /// When it was said.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }
}

/// Whether viewers may be told of these relays.
pub(crate) fn are_well_formed(relays: &[RelayAddress]) -> bool {
    let is_address = |relay: &RelayAddress| {
        matches!(relay.url.scheme(), "ws" | "wss")
            && relay.url.as_str().len() <= RELAY_URL_BYTES_MAX
            && relay.webtransport.as_ref().is_none_or(|other| other.is_well_formed(&relay.url))
    };
    relays.len() <= TICKET_RELAYS_MAX && relays.iter().all(is_address)
}
