//! What directories that share a store tell each other of streams and relays. How what another one tells is taken over is in `absorbing`.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    time::Duration,
};

use protocol::{RelayName, StreamId, ViewerId, http::Heartbeat, signing::PublicKey, stream_record::StreamRecord};
use serde::{Deserialize, Serialize};

use super::{
    EndReason, Joining, Registry,
    stream::{FAILOVER_TIME_MAX, Stream},
};

mod absorbing;

/// How much longer streams without media are kept while the store is away: what brings them back may be heard by others alone.
pub(super) const ALONE_PATIENCE: Duration = Duration::from_secs(600);

/// Streams of which others are still to be told, as many as a directory may carry and then some. While the store is away they become
/// more; what does not fit is found again when all is compared, once it is back.
const TOUCHED_MAX: usize = 65_536;

/// One stream, for other directories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedStream {
    /// It goes on.
    On(Box<StreamOn>),
    /// It has ended for good.
    Ended(EndReason),
}

/// A stream that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamOn {
    /// As its broadcaster keeps it, too; when it was said is of no use here.
    record: StreamRecord,
    moved_in_epoch: u32,
    list: u32,
    /// Whether media has ever arrived.
    begun: bool,
    /// Viewers that its broadcaster does not want, and since when in microseconds since the Unix epoch; in order.
    removed: Vec<(ViewerId, u64)>,
    /// Where they came from; in order.
    networks: Vec<IpAddr>,
}

/// One relay, for other directories.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedRelay {
    joining: Joining,
    registered_at_ms: u64,
    said_at_ms: u64,
    heartbeat: Option<Heartbeat>,
    /// Whether an operator wants it to be rid of its streams, and since when.
    drain: (bool, u64),
    /// Whether it answers at its public address, as far as the directory knows that speaks.
    good: bool,
}

impl SharedRelay {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RelayName {
        &self.joining.address.name
    }

    /// Whether somebody who has heard `other` has heard this.
    #[must_use]
    pub fn says_nothing_more_than(&self, other: &Self) -> bool {
        let words = |relay: &Self| (relay.registered_at_ms, relay.said_at_ms, relay.drain);
        words(self) == words(other) && self.joining.public_key == other.joining.public_key
    }

    /// Its key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.joining.public_key
    }
}

/// What others are to hear of since this was asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Streams, also those that are gone.
    pub streams: Vec<StreamId>,
    /// Relays, also those that are gone.
    pub relays: Vec<RelayName>,
}

/// What of a stream others have been told, in short: it is written again when this is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    epoch: u32,
    moved_in_epoch: u32,
    list: u32,
    assigned: usize,
    begun: bool,
    removals: u64,
}

impl Mark {
    fn of(stream: &Stream) -> Self {
        Self {
            epoch: stream.epoch,
            moved_in_epoch: stream.moved_in_epoch,
            list: stream.list,
            assigned: stream.assigned.len(),
            begun: stream.has_begun(),
            removals: stream.removed.changes(),
        }
    }
}

/// What of a relay others are to hear that the registry itself has no use for.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// When it registered, and when it said something last, by its own clock.
    pub(super) registered_at_ms: u64,
    pub(super) said_at_ms: u64,
    /// When an operator said whether it is to be rid of its streams.
    pub(super) drain_at_us: u64,
    /// Its last heartbeat.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// How the registry stands to others. A registry that shares nothing notes nothing.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    on: bool,
    alone: bool,
    follows: bool,
    streams: HashSet<StreamId>,
    relays: BTreeSet<RelayName>,
}

impl Sharing {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Something of a stream may be another.
    pub(super) fn touch_stream(&mut self, id: StreamId) {
        if self.on && self.streams.len() < TOUCHED_MAX {
            self.streams.insert(id);
        }
    }

    /// A relay said something, or an operator of it. Bounded by the relays that there may be.
    pub(super) fn touch_relay(&mut self, name: &RelayName) {
        if self.on && !self.relays.contains(name) {
            self.relays.insert(name.clone());
        }
    }

    /// Whether others may know what this directory does not hear.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }
}

impl Registry {
    /// From now on there are others to be told. Until [`Self::set_alone`] says otherwise, they can't be.
    pub fn share(&mut self) {
        (self.sharing.on, self.sharing.alone) = (true, true);
    }

    /// Whether somebody is to hear of something.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        !self.sharing.streams.is_empty() || !self.sharing.relays.is_empty()
    }

    /// Whether the others can be heard. While they can't, a relay's silence proves nothing: it may report to them.
    pub fn set_alone(&mut self, now_us: u64, alone: bool) {
        let was_alone = std::mem::replace(&mut self.sharing.alone, alone);
        if was_alone && !alone {
            for stream in self.streams.values_mut() {
                stream.extend(now_us, FAILOVER_TIME_MAX);
            }
        }
    }

    /// Whether this directory takes the decisions that one of several is enough for; one that is alone does.
    #[must_use]
    pub fn leads(&self) -> bool {
        !self.sharing.follows
    }

    /// Says whether it does.
    pub fn set_leads(&mut self, leads: bool) {
        self.sharing.follows = !leads;
    }

    /// The others have not heard of this stream what they were to hear.
    pub fn tell_again(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.shared = None;
        }
        self.sharing.touch_stream(id);
    }

    /// Nobody knows any more what others were told.
    pub fn forget_what_was_told(&mut self) {
        for stream in self.streams.values_mut() {
            stream.shared = None;
        }
    }

    /// Tells of all streams that the others lack, and `all` that is known besides.
    pub fn touch_missing(&mut self, is_there: impl Fn(&StreamId) -> bool, all: bool) {
        for stream in self.streams.values_mut().filter(|stream| !is_there(&stream.id)) {
            stream.shared = None;
            self.sharing.touch_stream(stream.id);
        }
        if all {
            for id in self.ended.for_good().filter(|id| !is_there(id)) {
                self.sharing.touch_stream(id);
            }
            for name in self.relays.keys() {
                self.sharing.touch_relay(name);
            }
        }
    }

    /// What others are to hear of. Streams of which nothing changed that matters to them are left out.
    pub fn take_touched(&mut self) -> Touched {
        let streams = std::mem::take(&mut self.sharing.streams);
        let news = |id: &StreamId| {
            self.streams.get_mut(id).is_none_or(|stream| {
                let mark = Some(Mark::of(stream));
                std::mem::replace(&mut stream.shared, mark) != mark
            })
        };
        let streams = streams.into_iter().filter(news).collect();
        Touched { streams, relays: std::mem::take(&mut self.sharing.relays).into_iter().collect() }
    }

    /// What others are told of a stream; none when it is gone without having ended for good.
    #[must_use]
    pub fn shared_stream(&self, id: StreamId) -> Option<SharedStream> {
        if let Some(stream) = self.streams.get(&id) {
            let (removed, networks) = stream.removed.all();
            let on = StreamOn {
                // Relays say themselves where they are.
                record: StreamRecord { addresses: Vec::new(), ..self.record(id, 0)? },
                moved_in_epoch: stream.moved_in_epoch,
                list: stream.list,
                begun: stream.has_begun(),
                removed,
                networks,
            };
            return Some(SharedStream::On(Box::new(on)));
        }
        self.ended.reason(&id).filter(|reason| reason.is_final()).map(SharedStream::Ended)
    }

    /// What others are told of a relay; none when it is gone.
    #[must_use]
    pub fn shared_relay(&self, name: &RelayName) -> Option<SharedRelay> {
        let relay = self.relays.get(name)?;
        Some(SharedRelay {
            joining: relay.joining.clone(),
            registered_at_ms: relay.words.registered_at_ms,
            said_at_ms: relay.words.said_at_ms,
            heartbeat: relay.words.heartbeat.clone(),
            drain: (relay.told_to_drain, relay.words.drain_at_us),
            good: relay.check.is_good() && !relay.check.is_in_doubt(),
        })
    }

    /// A relay has registered here.
    pub(super) fn note_registration(&mut self, now_us: u64, name: &RelayName, said_at_ms: u64) {
        if let Some(relay) = self.relays.get_mut(name) {
            relay.words = Words {
                registered_at_ms: said_at_ms,
                said_at_ms,
                drain_at_us: now_us, // one that was to drain starts anew
                heartbeat: None,
            };
            self.sharing.touch_relay(name);
        }
    }

    /// While others can't be heard, a relay that answers at its public address is late, not lost: it may report to them.
    pub(super) fn vouch_for_silent_relays(&mut self, now_us: u64) {
        if !self.sharing.is_alone() {
            return;
        }
        for relay in self.relays.values_mut().filter(|relay| relay.is_late(now_us) && relay.check.is_good()) {
            relay.check.wonder(now_us);
            relay.vouch(now_us);
        }
    }
}
