//! What every call works with: the registry behind its lock, the clock, the keys, what is kept on disk, and the channels to those
//! who wait for news.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand;
use axum::http::HeaderName;
use protocol::{
    BroadcastKey, RelayName, Secret, StreamId, ViewerId,
    http::{Assignment, BroadcastPolicy, ListEvent, StreamState},
    limits::TICKET_RELAYS_MAX,
    relay_proof::{JoinToken, Membership},
    signing::{Claims, PublicKey},
    ticket::Grant,
};
use service::{Clock, Lifecycle};
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tracing::{error, info, warn};

use crate::{
    allowances::Allowances,
    data_folder::DataFolder,
    ended_streams::EndedStreams,
    failure::Failure,
    members::Members,
    metrics::{Metrics, Reason},
    passes::Passes,
    password_gate::PasswordGate,
    password_guesses::PasswordGuesses,
    registry::{DueCheck, Note, Orders, Place, PlaceError, Registry},
    relay_check::Dialler,
    sharing::Link,
    state_file::Kept,
};

/// Changes of the list that a slow reader may be behind; past them it gets the whole list anew.
pub(crate) const CHANGES_BEHIND_MAX: usize = 256;

/// Most open event streams: each holds a connection.
pub(crate) const EVENT_READERS_MAX: usize = 4096;

/// Relays that are dialled at a time.
const DIALS_MAX: usize = 16;

/// The directory's state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// What the directory is made of.
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) data: DataFolder,
    pub(crate) join_secret: Option<Secret>,
    pub(crate) broadcast: BroadcastPolicy,
    /// The header in which a proxy says where a viewer is.
    pub(crate) region_header: Option<HeaderName>,
    pub(crate) dialler: Dialler,
    pub(crate) allowances: Allowances,
    pub(crate) metrics: Metrics,
    pub(crate) life: Lifecycle,
    /// The way to other directories, where there may be some.
    pub(crate) link: Option<Arc<Link>>,
}

struct Inner {
    parts: Parts,
    registry: Mutex<Registry>,
    changes: broadcast::Sender<Arc<str>>,
    orders: watch::Sender<()>,
    readers: Arc<Semaphore>,
    dials: Arc<Semaphore>,
    joined: Notify,
    guesses: Mutex<PasswordGuesses>,
    gate: PasswordGate,
}

impl App {
    pub(crate) fn new(mut parts: Parts) -> Self {
        if let Some(link) = &parts.link {
            parts.registry.share();
            parts.data.members.share(Arc::clone(link));
            parts.data.passes.share(Arc::clone(link));
            parts.data.ended_streams.share(Arc::clone(link));
        }
        Self(Arc::new(Inner {
            registry: Mutex::new(std::mem::take(&mut parts.registry)),
            parts,
            changes: broadcast::Sender::new(CHANGES_BEHIND_MAX),
            orders: watch::Sender::new(()),
            readers: Arc::new(Semaphore::new(EVENT_READERS_MAX)),
            dials: Arc::new(Semaphore::new(DIALS_MAX)),
            joined: Notify::new(),
            guesses: Mutex::default(),
            gate: PasswordGate::default(),
        }))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.parts.clock
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.parts.metrics
    }

    pub(crate) fn life(&self) -> &Lifecycle {
        &self.0.parts.life
    }

    pub(crate) fn join_secret(&self) -> Option<&Secret> {
        self.0.parts.join_secret.as_ref()
    }

    pub(crate) fn operator_token(&self) -> &Secret {
        &self.0.parts.data.operator_token
    }

    pub(crate) fn broadcast(&self) -> BroadcastPolicy {
        self.0.parts.broadcast
    }

    pub(crate) fn region_header(&self) -> Option<&HeaderName> {
        self.0.parts.region_header.as_ref()
    }

    pub(crate) fn members(&self) -> &Kept<Members> {
        &self.0.parts.data.members
    }

    pub(crate) fn passes(&self) -> &Kept<Passes> {
        &self.0.parts.data.passes
    }

    pub(crate) fn ended_streams(&self) -> &Kept<EndedStreams> {
        &self.0.parts.data.ended_streams
    }

    pub(crate) fn allowances(&self) -> &Allowances {
        &self.0.parts.allowances
    }

    pub(crate) fn gate(&self) -> &PasswordGate {
        &self.0.gate
    }

    pub(crate) fn guesses<T>(&self, work: impl FnOnce(&mut PasswordGuesses) -> T) -> T {
        work(&mut self.0.guesses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn ticket_key(&self) -> PublicKey {
        self.0.parts.data.signer.public_key()
    }

    pub(crate) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }

    /// Lets `work` use the registry at this moment, then tells the open lists and the broadcasters what changed.
    pub(crate) fn registry<T>(&self, work: impl FnOnce(&mut Registry, u64) -> T) -> T {
        let (result, notes, is_touched) = {
            // A panic of one call must not end all others: the registry is left as that call left it.
            let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
            let result = work(&mut registry, self.clock().now_us());
            for change in registry.take_changes() {
                self.tell(&change);
            }
            if registry.take_news_for_broadcasters() {
                self.0.orders.send_replace(());
            }
            (result, registry.take_notes(), registry.is_touched())
        };
        if is_touched && let Some(link) = &self.0.parts.link {
            link.wake();
        }
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

    /// Wakes up whenever some broadcaster has other orders.
    pub(crate) fn news_for_broadcasters(&self) -> watch::Receiver<()> {
        self.0.orders.subscribe()
    }

    /// Waits until other directories have been told of what this call has changed, so that whoever reads its answer finds the same
    /// there. A store that is slow or away is not waited for.
    pub(crate) async fn settled(&self) {
        if let Some(link) = &self.0.parts.link {
            link.settled().await;
        }
    }

    /// What the passing of time brings.
    pub(crate) fn tick(&self) {
        let counts = self.registry(|registry, now_us| {
            registry.tick(now_us);
            registry.counts(now_us)
        });
        self.metrics().set_counts(&counts);
        let open = EVENT_READERS_MAX.saturating_sub(self.0.readers.available_permits());
        self.metrics().event_readers.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.allowances().tidy();
        self.dial();
    }

    /// A client says that a relay does not serve: it is dialled at once.
    pub(crate) fn relay_reported(&self, relay: &RelayName) {
        self.metrics().relays_reported.inc();
        if self.registry(|registry, now_us| registry.reported_broken(now_us, relay)) {
            info!(%relay, "a client says that a relay does not serve");
            self.relay_joined();
        }
    }

    /// A relay has joined: it is dialled at once.
    pub(crate) fn relay_joined(&self) {
        self.0.joined.notify_one();
    }

    /// Dials relays that join, from now on.
    pub(crate) async fn dial_those_who_join(self) {
        let stopping = self.life().stopping();
        while stopping.run_until_cancelled(self.0.joined.notified()).await.is_some() {
            self.dial();
        }
    }

    /// Dials the relays whose time it is.
    fn dial(&self) {
        for due in self.registry(|registry, now_us| registry.due_checks(now_us)) {
            let app = self.clone();
            self.life().spawn(async move { app.check(due).await });
        }
    }

    async fn check(&self, due: DueCheck) {
        let Ok(_permit) = Arc::clone(&self.0.dials).acquire_owned().await else { return };
        let result = self.0.parts.dialler.check(&due).await;
        let reason = result.as_ref().err().map_or("good", |error| error.reason());
        self.metrics().relay_checks.get_or_create(&Reason { reason }).inc();
        let result = result.map_err(|error| error.to_string());
        self.registry(|registry, now_us| registry.checked(now_us, &due, result));
    }

    /// The way to send a stream: the place's relays, a ticket that names them all, and what brings the stream back.
    pub(crate) fn publish(&self, stream: StreamId, place: Place) -> Result<Assignment, Failure> {
        let now_s = self.clock().now_s();
        let grant = Grant::publish(stream, place.epoch, names(&place), now_s);
        let record = self.registry(|registry, _| registry.record(stream, now_s));
        let record = record.map(|record| self.sign(&record)).transpose()?;
        Ok(Assignment { ticket: self.sign(&grant)?, relays: place.relays, epoch: place.epoch, record })
    }

    /// The way to watch it.
    pub(crate) fn watch(&self, stream: StreamId, viewer: ViewerId, place: Place) -> Result<Assignment, Failure> {
        let grant = Grant::watch(stream, place.epoch, names(&place), viewer, self.clock().now_s());
        let grant = Grant { upstream: place.upstream, ..grant };
        Ok(Assignment { ticket: self.sign(&grant)?, relays: place.relays, epoch: place.epoch, record: None })
    }

    /// What the broadcaster that owns a stream is to do.
    pub(crate) fn orders(&self, stream: StreamId, key: &BroadcastKey) -> Result<Orders, PlaceError> {
        self.registry(|registry, _| registry.orders(stream, key))
    }

    /// What up to `uses_max` relays may join with.
    pub(crate) fn join_token(&self, uses_max: u32, expires_at_s: u64) -> Result<Secret, Failure> {
        let id = u128::from_le_bytes(random()?);
        self.sign(&JoinToken { id: format!("{id:032x}"), uses_max, expires_at_s })
    }

    /// What a relay joins with from now on.
    pub(crate) fn membership(&self, relay: RelayName, public_key: PublicKey) -> Result<Secret, Failure> {
        self.sign(&Membership { relay, public_key, issued_at_s: self.clock().now_s() })
    }

    pub(crate) fn sign(&self, claims: &impl Claims) -> Result<Secret, Failure> {
        self.0.parts.data.signer.sign(claims).map_err(|error| {
            error!(%error, "a token could not be signed");
            Failure::internal()
        })
    }

    fn log(&self, note: &Note) {
        match note {
            Note::RelayLost(relay) => {
                self.metrics().relays_lost.inc();
                warn!(%relay, "a relay was silent for too long and lost its place");
            }
            Note::RelayGood(relay) => info!(%relay, "a relay answers at its public address and gets work"),
            Note::RelayProblem(relay, problem) => warn!(%relay, "a relay failed its check: {problem}"),
            Note::StreamIs(id, StreamState::Live) => info!(stream.id = %id, "a stream is live"),
            Note::StreamIs(id, _) => info!(stream.id = %id, "a stream is live no more; its broadcaster may come back"),
            Note::StreamMoved(id) => {
                self.metrics().streams_moved.inc();
                info!(stream.id = %id, "a stream was told to move to another relay");
            }
            Note::StreamLeavesHot { stream, from, to } => {
                self.metrics().streams_moved_from_hot.inc();
                warn!(stream.id = %stream, %from, %to, "a relay has too much to do, and a stream moves from it to another");
            }
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
    let named = place.relays.iter().map(|relay| &relay.name).chain(&place.away);
    named.take(TICKET_RELAYS_MAX).cloned().collect()
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
        let folder = tempfile::tempdir().unwrap();
        Self::new(Parts {
            registry: Registry::new(crate::registry::Rules { streams_max: 100, ..Default::default() }),
            clock,
            data: DataFolder::open(folder.path()).unwrap(),
            join_secret: Some("a-secret-of-the-tests".into()),
            broadcast: BroadcastPolicy::Open,
            region_header: None,
            dialler: Dialler::new(service::tls::client_config(None).unwrap(), Vec::new()),
            allowances: Allowances::new(&crate::config::AllowanceFlags::default()),
            metrics: Metrics::default(),
            life: Lifecycle::new(),
            link: None,
        })
    }
}
