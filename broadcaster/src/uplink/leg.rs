//! What is known of one connection while it runs.

use std::time::{Duration, Instant};

use protocol::{
    Secret,
    control::FromBroadcaster,
    http::RelayAddress,
    limits::{CLIENT_PATIENCE, SILENCE_TIME_MAX, TICKET_RENEWED_AFTER},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{confirmed::Confirmed, connection::ConnectionId, flight::Flight};
use crate::transport::Transport;

/// How long a relay may take to register the stream before the next one is tried beside it: a few round trips of a slow network,
/// with one retransmission.
const OPENING_PATIENCE: Duration = Duration::from_secs(2);

/// Chunks that nothing confirms for this long are not live.
const CONFIRMATION_TIME_MAX: Duration = Duration::from_secs(2);

/// One connection. Dropping it makes it leave.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: ConnectionId,
    pub(super) relay: RelayAddress,
    pub(super) epoch: u32,
    pub(super) ticket: Secret,
    pub(super) ticket_since: Instant,
    pub(super) says: mpsc::Sender<FromBroadcaster>,
    pub(super) leave: CancellationToken,
    /// Whether the relay has taken the stream.
    pub(super) registered: bool,
    /// What carries it, once it is open.
    pub(super) transport: Option<Transport>,
    /// Whether the relay confirms, as it then does at least every [`protocol::limits::KEEP_ALIVE_INTERVAL`].
    pub(super) confirms: bool,
    /// When the relay was heard last, or the connection began.
    pub(super) heard_at: Instant,
    /// When it ends because the stream is elsewhere.
    pub(super) leave_at: Option<Instant>,
    pub(super) confirmed: Confirmed,
    pub(super) flight: Flight,
}

impl Leg {
    /// Whether the next relay is to be tried beside this one.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let patience = match (self.registered, self.confirms) {
            (false, _) => OPENING_PATIENCE,
            (true, true) => CLIENT_PATIENCE,
            (true, false) => SILENCE_TIME_MAX,
        };
        now.saturating_duration_since(self.heard_at) > patience
    }

    /// Why it is given up, when it is time to.
    pub(super) fn failure(&self, now: Instant) -> Option<String> {
        let is_over = |since: Instant| self.registered && now.saturating_duration_since(since) > SILENCE_TIME_MAX;
        // A source that gives nothing is not the relay's fault.
        let awaits = self.flight.age(now).is_some_and(|age| age > SILENCE_TIME_MAX);
        let name = &self.relay.name;
        if is_over(self.heard_at) {
            Some(format!("{name} is silent"))
        } else if awaits && is_over(self.confirmed.grew_at) {
            Some(format!("{name} takes nothing in"))
        } else {
            None
        }
    }

    /// Whether chunks arrive.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.confirmed.grew_at);
        self.confirmed.chunks > 0 && age <= CONFIRMATION_TIME_MAX
    }

    /// Whether its ticket outlasts the next one that is sent by itself.
    pub(super) fn has_fresh_ticket(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.ticket_since) < TICKET_RENEWED_AFTER
    }

    /// Time in which nothing could be heard does not count.
    pub(super) fn excuse(&mut self, now: Instant) {
        (self.heard_at, self.confirmed.grew_at) = (now, now);
    }

    /// Says something, when the connection is not overwhelmed.
    pub(super) fn say(&self, message: FromBroadcaster) {
        let _ = self.says.try_send(message);
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.leave.cancel();
    }
}
