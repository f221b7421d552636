//! What the directory knows: streams and relays. Pure: takes `now_us` (microseconds since the Unix epoch) and events, returns
//! decisions, and collects what the open lists are to be told. No input or output, no clock, no randomness.

mod assignment;
mod check;
mod choice;
mod draw;
mod edges;
mod ended;
mod head_room;
mod hot;
mod joining;
mod lease;
mod lists;
mod moving;
mod note;
mod operator;
mod pressure;
mod relay;
mod removed;
mod restoring;
mod said;
mod sharing;
mod stream;
#[cfg(test)]
mod tests;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use protocol::{
    BroadcastKey, RelayName, StreamId, Title,
    http::{ListEvent, RelayAddress, StreamState, StreamSummary},
    limits::{RELAYS_NAMED_MAX, STREAM_START_TIME_MAX},
};
use thiserror::Error;

pub use self::{
    assignment::Assign,
    check::DueCheck,
    choice::Wish,
    ended::EndReason,
    head_room::HeadRoom,
    joining::{InvalidJoining, region_of},
    lease::{HeartbeatError, RegisterError},
    moving::{MoveError, Orders},
    note::Note,
    operator::{Edge, RelayStatus, StreamStatus},
    relay::{Joining, RelayHealth},
    sharing::{SharedRelay, SharedStream, Touched},
    stream::NewStream,
    watching::WatchError,
};
use self::{
    choice::Choice,
    draw::Draw,
    ended::Ended,
    relay::Relay,
    restoring::Recalled,
    said::Said,
    sharing::Sharing,
    stream::{FAILOVER_TIME_MAX, Stream},
};

/// Why a stream has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// No healthy relay has room.
    #[error("no relay has room for the stream right now; try again in a moment")]
    NoRelay,
    /// The directory carries as many streams as it may.
    #[error("the directory carries as many streams as it may; try again later")]
    TooManyStreams,
    /// The stream has ended or never was.
    #[error("the stream has ended or never was")]
    NotFound,
    /// The broadcast key is not the stream's.
    #[error("the broadcast key is not this stream's")]
    Unauthorized,
}

/// Where a stream is sent to or watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Relays in order of preference, 1 to [`RELAYS_NAMED_MAX`].
    pub relays: Vec<RelayAddress>,
    /// Relays that are not heard of, which may serve the stream nevertheless, or where the viewer may be: tickets are good there too.
    pub away: Vec<RelayName>,
    /// For viewers: where those relays pull the stream from that lack it, best first, at most [`RELAYS_NAMED_MAX`].
    pub upstream: Vec<RelayAddress>,
    /// The stream's epoch.
    pub epoch: u32,
}

impl Place {
    /// Names the relays last that are not heard of yet, where they were before the directory was gone: until they are back nobody's list
    /// is to get shorter.
    fn remember(&mut self, recalled: &Recalled) {
        let away = recalled.addresses().iter().filter(|relay| self.away.contains(&relay.name));
        let away: Vec<_> = away.cloned().collect();
        if !self.upstream.is_empty() {
            self.upstream.extend(away.iter().cloned());
            self.upstream.truncate(RELAYS_NAMED_MAX);
        }
        self.relays.extend(away);
        self.relays.truncate(RELAYS_NAMED_MAX);
        self.away.retain(|name| self.relays.iter().all(|relay| relay.name != *name));
    }
}

/// How much there is of everything, for the metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams that wait for media.
    pub starting: usize,
    /// Streams that media arrives for.
    pub live: usize,
    /// Streams whose broadcaster is away.
    pub interrupted: usize,
    /// Relays with room.
    pub ready: usize,
    /// Relays whose heartbeats are late, or that somebody could not use.
    pub suspect: usize,
    /// Relays that are too busy for anything new.
    pub busy: usize,
    /// Relays that carry as much as they may.
    pub full: usize,
    /// Relays that are to be rid of their streams.
    pub draining: usize,
    /// Relays that get no work, because nobody or somebody else answers at their public address.
    pub unchecked: usize,
    /// Viewers over all relays.
    pub viewers: u64,
    /// Bytes of media per second over all relays.
    pub egress_bytes_per_s: u64,
}

/// What a registry is to keep to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Most streams at a time.
    pub streams_max: usize,
    /// How relays are chosen for streams.
    pub assign: Assign,
    /// What the draws begin with that spread streams over relays.
    pub seed: u64,
    /// When the directory began, in microseconds since the Unix epoch: nothing counts that a relay signed before.
    pub begun_at_us: u64,
}

/// Streams and relays.
#[derive(Debug, Default)]
pub struct Registry {
    rules: Rules,
    draw: Draw,
    streams: HashMap<StreamId, Stream>,
    /// The listing order.
    by_age: BTreeSet<(u64, StreamId)>,
    relays: BTreeMap<RelayName, Relay>,
    ended: Ended,
    said: Said,
    sharing: Sharing,
    /// Streams that have to leave their relay, and have nowhere to go yet.
    homeless: BTreeSet<StreamId>,
    news_for_broadcasters: bool,
    /// When a stream had to leave a relay that was too busy, for the last time.
    left_hot_at_us: Option<u64>,
    changes: Vec<ListEvent>,
    notes: Vec<Note>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let (draw, said) = (Draw::new(rules.seed), Said::new(rules.begun_at_us / 1000));
        Self { rules, draw, said, ..Self::default() }
    }

    /// Makes a stream and gives it relays.
    ///
    /// # Errors
    /// [`PlaceError::NoRelay`] or [`PlaceError::TooManyStreams`].
    pub fn create(&mut self, now_us: u64, about: NewStream) -> Result<(StreamId, Place), PlaceError> {
        if self.streams.len() >= self.rules.streams_max {
            return Err(PlaceError::TooManyStreams);
        }
        let assigned = self.preferred_for_new(now_us);
        let place = self.place(&assigned, 1, None)?;
        let mut created_at_us = now_us;
        while self.is_used(&about.title, created_at_us) {
            created_at_us += 1;
        }
        let stream = Stream::new(about, created_at_us, assigned);
        let id = stream.id;
        self.by_age.insert((created_at_us, id));
        self.streams.insert(id, stream);
        self.sharing.touch_stream(id);
        Ok((id, place))
    }

    /// Gives a stream other relays and a higher epoch, for its broadcaster. The relay that `failed` is preferred last.
    ///
    /// # Errors
    /// When there is no such stream, the key is another stream's, or no relay has room.
    pub fn reassign(
        &mut self,
        now_us: u64,
        id: StreamId,
        key: &BroadcastKey,
        failed: Option<&RelayName>,
    ) -> Result<Place, PlaceError> {
        self.owned(id, key)?;
        let mut assigned = self.preferred(Some(id), failed, now_us);
        let stream = self.owned(id, key)?;
        let epoch = stream.epoch.saturating_add(1);
        if let Some(next) = failed.and_then(|failed| lists::next_after(stream, failed, &assigned))
            && self.relays.get(&assigned[next]).is_some_and(|relay| !relay.is_suspect(now_us))
        {
            assigned[..=next].rotate_right(1);
        }
        let mut place = self.place(&assigned, epoch, None)?;
        place.remember(&self.owned(id, key)?.recalled);
        self.with_stream(id, now_us, |stream| {
            stream.epoch = epoch;
            stream.assigned = assigned;
            stream.restored = None;
            let patience = match stream.state() {
                StreamState::Starting => STREAM_START_TIME_MAX,
                _ => FAILOVER_TIME_MAX,
            };
            stream.extend(now_us, patience);
        });
        Ok(place)
    }

    /// Where a stream is watched: on the relays that carry it or can pull it, else where it is expected.
    ///
    /// # Errors
    /// When there is no such stream, or none of its relays is left.
    pub fn watch(&self, now_us: u64, id: StreamId, wish: &Wish) -> Result<(StreamSummary, Place), PlaceError> {
        self.watched(now_us, id, wish).map(|(summary, place, _)| (summary, place))
    }

    fn watched(&self, now_us: u64, id: StreamId, wish: &Wish) -> Result<(StreamSummary, Place, Choice), PlaceError> {
        let stream = self.streams.get(&id).ok_or(PlaceError::NotFound)?;
        if stream.restored.as_ref().is_some_and(|restored| !restored.seen) {
            // The relay that carries it is about to say so: no viewer of it must leave it for one that does not.
            return Err(PlaceError::NoRelay);
        }
        let choice = self.choose(now_us, stream, wish);
        let first = choice.names.first().filter(|_| choice.certain);
        let mut place = self.place(&choice.names, stream.epoch, first)?;
        let address = |name| Some(self.relays.get(name)?.joining.address.clone());
        place.upstream = choice.upstream.iter().filter_map(address).collect();
        let named = |name: &&RelayName| place.relays.iter().any(|relay| relay.name == **name);
        place.away.extend(choice.held.iter().filter(|name| !named(name)).cloned());
        place.remember(&stream.recalled);
        Ok((stream.summary(), place, choice))
    }

    /// Whether the stream has not ended.
    #[must_use]
    pub fn has(&self, id: &StreamId) -> bool {
        self.streams.contains_key(id)
    }

    /// Whether the key is this stream's.
    ///
    /// # Errors
    /// When there is no such stream, or the key is another stream's.
    pub fn check_owner(&self, id: StreamId, key: &BroadcastKey) -> Result<(), PlaceError> {
        self.owned(id, key).map(drop)
    }

    /// Ends a stream at its broadcaster's wish.
    ///
    /// # Errors
    /// When there is no such stream, or the key is another stream's.
    pub fn end(&mut self, id: StreamId, key: &BroadcastKey) -> Result<(), PlaceError> {
        self.owned(id, key)?;
        self.remove(id, EndReason::Broadcaster);
        Ok(())
    }

    /// Draws the conclusions of time: silent relays are lost, streams that were without media for too long end, and lists learn
    /// of counts of viewers that were held back. To be called a few times a second.
    pub fn tick(&mut self, now_us: u64) {
        self.lose_silent_relays(now_us);
        self.said.forget_old(now_us);
        self.find_homes(now_us);
        if self.leads() {
            self.fill_lists(now_us);
            self.cool_down(now_us);
        }
        let lenient_us = if self.sharing.is_alone() { micros(sharing::ALONE_PATIENCE) } else { 0 };
        let over_us = now_us.saturating_sub(lenient_us);
        let over: Vec<_> =
            self.streams.values().filter(|stream| stream.is_over(over_us)).map(|stream| stream.id).collect();
        for id in over {
            self.notes.push(Note::StreamExpired(id));
            self.remove(id, EndReason::Expired);
        }
        let Self { streams, changes, .. } = self;
        for stream in streams.values_mut() {
            stream.forget_opened(now_us);
            stream.recalled.forget_old(now_us);
        }
        changes.extend(streams.values_mut().filter_map(|stream| stream.tell(now_us)));
    }

    /// The public list, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<StreamSummary> {
        let by_age = self.by_age.iter().filter_map(|(_, id)| self.streams.get(id));
        by_age.filter(|stream| stream.is_listed()).map(Stream::summary).collect()
    }

    /// What the open lists are to be told since this was asked last.
    pub fn take_changes(&mut self) -> Vec<ListEvent> {
        std::mem::take(&mut self.changes)
    }

    /// What operators want to read of since this was asked last.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// How much there is of everything.
    #[must_use]
    pub fn counts(&self, now_us: u64) -> Counts {
        let mut counts = Counts::default();
        for stream in self.streams.values() {
            *match stream.state() {
                StreamState::Starting => &mut counts.starting,
                StreamState::Live => &mut counts.live,
                StreamState::Interrupted => &mut counts.interrupted,
            } += 1;
        }
        let loads = assignment::loads(&self.relays, &self.streams, None);
        for (name, relay) in &self.relays {
            counts.viewers += u64::from(relay.viewers);
            counts.egress_bytes_per_s = counts.egress_bytes_per_s.saturating_add(relay.load.egress_bytes_per_s);
            let Some(load) = loads.get(name) else { continue };
            *match self.health(relay, *load, now_us) {
                RelayHealth::Ready => &mut counts.ready,
                RelayHealth::Suspect => &mut counts.suspect,
                RelayHealth::Draining => &mut counts.draining,
                RelayHealth::Busy => &mut counts.busy,
                RelayHealth::Full => &mut counts.full,
                RelayHealth::Unchecked => &mut counts.unchecked,
            } += 1;
        }
        counts
    }

    /// Whether another stream has this id.
    fn is_used(&self, title: &Title, created_at_us: u64) -> bool {
        let id = StreamId::of(title, created_at_us);
        self.streams.contains_key(&id) || self.ended.contains(&id)
    }

    fn owned(&self, id: StreamId, key: &BroadcastKey) -> Result<&Stream, PlaceError> {
        let stream = self.streams.get(&id).ok_or(PlaceError::NotFound)?;
        if stream.about.key_hash.matches(key) { Ok(stream) } else { Err(PlaceError::Unauthorized) }
    }

    /// The addresses of those of `names` that still are relays, and good ones: the one that plays first, and those last that may be
    /// gone soon.
    fn place(&self, names: &[RelayName], epoch: u32, live: Option<&RelayName>) -> Result<Place, PlaceError> {
        let relays = names.iter().filter_map(|name| self.relays.get(name)).filter(|relay| relay.check.is_good());
        let mut relays: Vec<_> = relays.collect();
        relays.sort_by_key(|relay| {
            (live != Some(&relay.joining.address.name)).then(|| (relay.is_draining(), relay.check.is_in_doubt()))
        });
        let relays = relays.into_iter();
        let relays: Vec<_> = relays.map(|relay| relay.joining.address.clone()).take(RELAYS_NAMED_MAX).collect();
        let is_here = |name: &RelayName| self.relays.get(name).is_some_and(|relay| !relay.check.is_awaited());
        let away = names.iter().filter(|name| !is_here(name)).cloned().collect();
        if relays.is_empty() {
            Err(PlaceError::NoRelay)
        } else {
            Ok(Place { relays, away, epoch, upstream: Vec::new() })
        }
    }

    /// Lets `change` work on a stream, if there is one, and notes what the lists are to be told.
    fn with_stream(&mut self, id: StreamId, now_us: u64, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let before = stream.state();
            change(stream);
            if stream.state() != before {
                self.notes.push(Note::StreamIs(id, stream.state()));
            }
            self.changes.extend(stream.tell(now_us));
            self.sharing.touch_stream(id);
        }
    }

    fn remove(&mut self, id: StreamId, reason: EndReason) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.by_age.remove(&(stream.created_at_us, id));
        for relay in stream.reports.keys() {
            if let Some(relay) = self.relays.get_mut(relay) {
                relay.carried.remove(&id);
            }
        }
        self.changes.extend(stream.farewell());
        self.ended.insert(id, reason);
        self.sharing.touch_stream(id);
        self.news_for_broadcasters = true;
    }
}

/// A duration as the registry counts: microseconds.
const fn micros(duration: Duration) -> u64 {
    // The registry's durations are minutes at most; nothing is lost.
    duration.as_secs() * 1_000_000 + duration.subsec_micros() as u64
}
