//! What a line carries while the relay has the stream: chunks out of a lane, what is said, and what is heard.

use std::time::Instant;

use protocol::control::{FromBroadcaster, ToBroadcaster};
use tokio::sync::mpsc;

use crate::{
    outbox::Lane,
    uplink::{
        connection::{ConnectionId, News},
        flight::Flight,
    },
};

/// What one connection sends, says and hears.
pub(in crate::uplink) struct Cargo<'a> {
    /// The chunks.
    pub(in crate::uplink) lane: Lane,
    /// Those under way.
    pub(in crate::uplink) flight: &'a Flight,
    /// What to say.
    pub(in crate::uplink) says: &'a mut mpsc::Receiver<FromBroadcaster>,
    /// Who hears what the relay says.
    pub(in crate::uplink) ear: &'a mut Ear,
}

/// Passes on what is heard of one relay.
#[derive(Debug)]
pub(in crate::uplink) struct Ear {
    id: ConnectionId,
    news: mpsc::Sender<(ConnectionId, News)>,
    /// When the relay was heard last, or the ear made.
    heard_at: Instant,
}

impl Ear {
    /// An ear for one connection.
    pub(in crate::uplink) fn new(id: ConnectionId, news: mpsc::Sender<(ConnectionId, News)>) -> Self {
        Self { id, news, heard_at: Instant::now() }
    }

    /// The relay has shown that it is there.
    pub(in crate::uplink) fn note(&mut self) {
        self.heard_at = Instant::now();
    }

    /// When that was last.
    pub(in crate::uplink) const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// The relay is alive, and may have said something.
    pub(super) async fn heard(&mut self, message: Option<ToBroadcaster>) {
        self.note();
        self.tell(News::Heard(message)).await;
    }

    /// Passes something on.
    pub(in crate::uplink) async fn tell(&self, news: News) {
        let _ = self.news.send((self.id, news)).await; // nobody listens once the broadcast is over
    }
}
