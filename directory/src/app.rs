//! What every call works with: the registry behind its lock, the clock, the keys, and the channel to the open lists.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand;
use protocol::{
    RelayName, Secret, StreamId, ViewerId,
    http::{Assignment, ListEvent, StreamState},
    relay_proof::Membership,
    signing::{Claims, PublicKey, SigningKey},
    ticket::Grant,
};
use service::{Clock, Lifecycle};
use tokio::sync::{Semaphore, broadcast};
use tracing::{error, info, warn};

use crate::{
    failure::Failure,
    metrics::Metrics,
    registry::{Note, Place, Registry},
};

/// Changes of the list that a slow reader may be behind; past them it gets the whole list anew.
pub(crate) const CHANGES_BEHIND_MAX: usize = 256;

/// Most open event streams: each holds a connection.
pub(crate) const EVENT_READERS_MAX: usize = 4096;

/// The directory's state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    clock: Clock,
    signer: SigningKey,
    join_secret: Secret,
    changes: broadcast::Sender<Arc<str>>,
    readers: Arc<Semaphore>,
    metrics: Metrics,
    life: Lifecycle,
}

impl App {
    pub(crate) fn new(
        registry: Registry,
        clock: Clock,
        signer: SigningKey,
        join_secret: Secret,
        metrics: Metrics,
        life: Lifecycle,
    ) -> Self {
        Self(Arc::new(Inner {
            registry: Mutex::new(registry),
            clock,
            signer,
            join_secret,
            changes: broadcast::Sender::new(CHANGES_BEHIND_MAX),
            readers: Arc::new(Semaphore::new(EVENT_READERS_MAX)),
            metrics,
            life,
        }))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn life(&self) -> &Lifecycle {
        &self.0.life
    }

    pub(crate) fn join_secret(&self) -> &Secret {
        &self.0.join_secret
    }

    pub(crate) fn ticket_key(&self) -> PublicKey {
        self.0.signer.public_key()
    }

    pub(crate) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }

    /// Lets `work` use the registry at this moment, then tells the open lists what changed.
    pub(crate) fn registry<T>(&self, work: impl FnOnce(&mut Registry, u64) -> T) -> T {
        let (result, notes) = {
            // A panic of one call must not end all others: the registry is left as that call left it.
            let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
            let result = work(&mut registry, self.0.clock.now_us());
            for change in registry.take_changes() {
                self.tell(&change);
            }
            (result, registry.take_notes())
        };
        // Outside of the lock: a log that nobody reads may block its writer.
        for note in notes {
            self.log(&note);
        }
        result
    }

    /// The whole list, and the changes from then on.
    pub(crate) fn follow(&self) -> (ListEvent, broadcast::Receiver<Arc<str>>) {
        // Within the registry's lock, so that no change falls between the two.
        self.registry(|registry, _| (ListEvent::Streams { streams: registry.list() }, self.0.changes.subscribe()))
    }

    /// What the passing of time brings.
    pub(crate) fn tick(&self) {
        let counts = self.registry(|registry, now_us| {
            registry.tick(now_us);
            registry.counts(now_us)
        });
        self.0.metrics.set_counts(&counts);
        let open = EVENT_READERS_MAX.saturating_sub(self.0.readers.available_permits());
        self.0.metrics.event_readers.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// The way to send a stream: the place's relays and a ticket that names them all.
    pub(crate) fn publish(&self, stream: StreamId, place: Place) -> Result<Assignment, Failure> {
        let grant = Grant::publish(stream, place.epoch, names(&place), self.0.clock.now_s());
        Ok(Assignment { ticket: self.sign(&grant)?, relays: place.relays, epoch: place.epoch })
    }

    /// The way to watch it.
    pub(crate) fn watch(&self, stream: StreamId, viewer: ViewerId, place: Place) -> Result<Assignment, Failure> {
        let grant = Grant::watch(stream, place.epoch, names(&place), viewer, self.0.clock.now_s());
        Ok(Assignment { ticket: self.sign(&grant)?, relays: place.relays, epoch: place.epoch })
    }

    /// What a relay joins with from now on.
    pub(crate) fn membership(&self, relay: RelayName, public_key: PublicKey) -> Result<Secret, Failure> {
        self.sign(&Membership { relay, public_key, issued_at_s: self.0.clock.now_s() })
    }

    pub(crate) fn sign(&self, claims: &impl Claims) -> Result<Secret, Failure> {
        self.0.signer.sign(claims).map_err(|error| {
            error!(%error, "a token could not be signed");
            Failure::internal()
        })
    }

    fn log(&self, note: &Note) {
        match note {
            Note::RelayLost(relay) => {
                self.0.metrics.relays_lost.inc();
                warn!(%relay, "a relay was silent for too long and lost its name");
            }
            Note::StreamIs(id, StreamState::Live) => info!(stream.id = %id, "a stream is live"),
            Note::StreamIs(id, _) => info!(stream.id = %id, "a stream is live no more; its broadcaster may come back"),
            Note::StreamExpired(id) => info!(stream.id = %id, "a stream ended: no media came for too long"),
        }
    }

    fn tell(&self, change: &ListEvent) {
        if self.0.changes.receiver_count() == 0 {
            return;
        }
        match serde_json::to_string(change) {
            // Nobody listens any more: nobody misses it.
            Ok(text) => drop(self.0.changes.send(text.into())),
            Err(error) => error!(%error, "a change of the list could not be written"),
        }
    }
}

fn names(place: &Place) -> Vec<RelayName> {
    place.relays.iter().map(|relay| relay.name.clone()).collect()
}

/// Random bytes of the system, for keys and tokens.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Failure> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| {
        error!("the system has no randomness to give");
        Failure::internal()
    })?;
    Ok(bytes)
}

#[cfg(test)]
impl App {
    /// A directory without relays, for tests of single calls.
    pub(crate) fn for_tests(clock: Clock) -> Self {
        let signer = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let secret = "a-secret-of-the-tests".into();
        Self::new(Registry::new(100), clock, signer, secret, Metrics::default(), Lifecycle::new())
    }
}
