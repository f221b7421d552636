//! One stream on many relays. A relay that has viewers for a stream which nobody sends to it pulls it, once, from another relay that
//! their tickets name: it is an edge. Whoever pulls proves with membership, assertion and a viewer's ticket that it may.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use protocol::{Secret, StreamId, ticket::Grant};
use service::Lifecycle;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};
use tracing::{Instrument as _, info_span};

use crate::house::House;

mod handover;
pub mod link;
mod permit;
pub(crate) mod proof;
mod pull;
pub mod renewal;
mod replays;
pub(crate) mod revoked;
mod upstreams;

use link::Dialler;
use pull::Pull;
use renewal::Renewals;
use replays::Replays;
use revoked::Revoked;

/// How often a relay that pulls over a session is told something, where nothing else is to be told. A silence of some times as long is that
/// of a dead relay or of a bad line.
pub(crate) const SESSION_WORD_INTERVAL: Duration = Duration::from_millis(40);

/// Tickets of viewers that wait to be looked at: the newest says what those before it said.
const WISHES_MAX: usize = 16;

/// What this relay pulls from others, and what it remembers of those who pull from it.
#[derive(Debug)]
pub struct Edges {
    dialler: Dialler,
    renewals: Renewals,
    life: Lifecycle,
    pulls: Mutex<HashMap<StreamId, mpsc::Sender<Wish>>>,
    replays: Replays,
    /// Relays that belong here no longer.
    pub(crate) revoked: Revoked,
    /// When the newest assertion was said, in milliseconds since the Unix epoch.
    said_at_ms: AtomicU64,
}

/// A viewer is here whose ticket names upstreams.
#[derive(Debug)]
struct Wish {
    grant: Grant,
    ticket: Secret,
}

impl Edges {
    /// Nothing is pulled yet. Pulls live as long as `life`.
    #[must_use]
    pub fn new(dialler: Dialler, renewals: Renewals, life: Lifecycle) -> Self {
        let (pulls, replays, revoked) = (Mutex::default(), Replays::default(), Revoked::default());
        Self { dialler, renewals, life, pulls, replays, revoked, said_at_ms: AtomicU64::new(0) }
    }

    /// A viewer is on its seat, or has a new ticket: if nobody sends its stream here, the upstreams that the ticket names do.
    pub fn wanted(&self, house: &Arc<House>, grant: &Grant, ticket: &Secret) {
        if grant.upstream.iter().all(|upstream| upstream.name == house.name) {
            return;
        }
        let mut wish = Wish { grant: grant.clone(), ticket: ticket.clone() };
        let mut pulls = self.pulls();
        if let Some(pull) = pulls.get(&grant.stream) {
            match pull.try_send(wish) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(back)) => wish = back,
            }
        }
        let Some(demand) = house.streams.demand(grant.stream).filter(|_| !house.drain.is_draining()) else { return };
        demand.is_looked_for(Instant::now());
        let (sender, wishes) = mpsc::channel(WISHES_MAX);
        pulls.insert(grant.stream, sender);
        let pull = Pull::new(Arc::clone(house), grant.stream, demand, wishes, wish);
        let span = info_span!(parent: None, "pull", stream.id = %grant.stream);
        self.life.spawn(pull.run().instrument(span));
    }

    /// A pull is over; with `let_go` only if nobody watches the stream here, and it is let go of then. Whether it is over.
    fn finish(&self, house: &Arc<House>, stream: StreamId, wishes: &mut mpsc::Receiver<Wish>, let_go: bool) -> bool {
        let mut pulls = self.pulls();
        if let_go && !house.streams.let_go(stream, Instant::now()) {
            return false;
        }
        pulls.remove(&stream);
        drop(pulls);
        // Somebody may have come for the stream's next time here.
        while let Ok(Wish { grant, ticket }) = wishes.try_recv() {
            self.wanted(house, &grant, &ticket);
        }
        true
    }

    /// The time of day, but later than ever before: upstreams take no assertion twice.
    fn next_said_at_ms(&self, now_ms: u64) -> u64 {
        let later = |said| Some(now_ms.max(said + 1));
        let said = self.said_at_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        now_ms.max(said.map_or(0, |said| said + 1))
    }

    /// Forgets what can't be said again.
    pub fn forget(&self, now_ms: u64) {
        self.replays.forget(now_ms);
        self.revoked.forget(Instant::now());
    }

    fn pulls(&self) -> MutexGuard<'_, HashMap<StreamId, mpsc::Sender<Wish>>> {
        // Every change stands by itself, so a panic elsewhere leaves it usable.
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
