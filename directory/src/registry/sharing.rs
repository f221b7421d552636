//! What directories that share a store tell each other of streams and relays, and how what another one tells is taken over. It is
//! merged, so that it does not matter in which order and how often it is heard: a higher epoch wins, an end is final, and of a relay
//! counts what it said last.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    time::Duration,
};

use protocol::{
    RelayName, StreamId, ViewerId, http::Heartbeat, http::StreamState, limits::STREAM_START_TIME_MAX,
    signing::PublicKey, stream_record::StreamRecord,
};
use serde::{Deserialize, Serialize};

use super::{
    EndReason, Joining, NewStream, Registry,
    check::Check,
    lease::RELAYS_MAX,
    relay::Relay,
    stream::{FAILOVER_TIME_MAX, INTERRUPTED_TIME_MAX, Stream},
};

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

    /// Another directory tells of a stream.
    pub fn absorb_stream(&mut self, now_us: u64, id: StreamId, theirs: SharedStream) {
        let on = match &theirs {
            SharedStream::Ended(reason) => {
                self.remove(id, *reason);
                self.ended.insert_final(id, *reason);
                self.sharing.streams.remove(&id);
                return;
            }
            SharedStream::On(on) => on,
        };
        if self.ended.reason(&id).is_some_and(EndReason::is_final) {
            self.sharing.touch_stream(id); // they are to hear it
            return;
        }
        if self.has(&id) {
            self.merge_stream(now_us, id, on);
        } else if !self.add_stream(now_us, id, on) {
            return;
        }
        let same = self.shared_stream(id).as_ref() == Some(&theirs);
        if let Some(stream) = self.streams.get_mut(&id) {
            let mark = Some(Mark::of(stream));
            if same {
                stream.shared = mark;
            } else if stream.shared != mark {
                // They lack what has changed here, and were not told yet.
                self.sharing.touch_stream(id);
            }
        }
    }

    /// Another directory has told of a stream just before this one could. An epoch that both have given to the broadcaster is theirs; what
    /// was said here counts as the next.
    pub fn yield_to(&mut self, now_us: u64, id: StreamId, theirs: SharedStream) {
        if let (Some(stream), SharedStream::On(on)) = (self.streams.get_mut(&id), &theirs) {
            let same_number = (stream.epoch, stream.list) == (on.record.epoch, on.list);
            if same_number && stream.moved_in_epoch < stream.epoch && stream.assigned != on.record.relays {
                stream.epoch = stream.epoch.saturating_add(1);
            }
        }
        self.absorb_stream(now_us, id, theirs);
    }

    /// Another directory has seen no media of a stream for too long. Whoever sees some knows better.
    pub fn absorb_no_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let under_way = stream.shared != Some(Mark::of(stream));
        if under_way || stream.state() == StreamState::Live {
            stream.shared = None;
            self.sharing.touch_stream(id);
        } else {
            self.remove(id, EndReason::Expired);
            self.sharing.streams.remove(&id);
        }
    }

    /// Another directory tells of a relay that belongs here.
    pub fn absorb_relay(&mut self, now_us: u64, theirs: SharedRelay) {
        let (name, key) = (theirs.name().clone(), theirs.public_key());
        let holder = self.relays.get(&name);
        if holder.is_some_and(|holder| holder.joining.public_key != key) {
            // Whose the name is has been settled where names are given away: this one is the newer holder.
            self.drop_relay(&name, now_us);
        }
        if !self.relays.contains_key(&name) {
            if self.relays.len() >= RELAYS_MAX {
                return;
            }
            let mut relay = Relay::new(theirs.joining.clone(), now_us);
            relay.words.registered_at_ms = theirs.registered_at_ms;
            if theirs.good {
                relay.check = Check::trusted(now_us);
            }
            self.relays.insert(name.clone(), relay);
        }
        let Some(relay) = self.relays.get_mut(&name) else { return };
        if theirs.registered_at_ms > relay.words.registered_at_ms {
            relay.rejoin(theirs.joining, now_us);
            relay.words = Words { registered_at_ms: theirs.registered_at_ms, ..Words::default() };
        }
        if theirs.drain.1 > relay.words.drain_at_us {
            (relay.told_to_drain, relay.words.drain_at_us) = theirs.drain;
        }
        if self.said.was_told(now_us, key, theirs.said_at_ms) {
            relay.words.said_at_ms = theirs.said_at_ms;
            if let Some(heartbeat) = theirs.heartbeat {
                self.take_report(now_us, &name, &heartbeat);
            }
        }
    }

    /// Shuts those relays out that do not belong here, as another directory has said.
    pub fn keep_those_that_belong(&mut self, now_us: u64, belongs: impl Fn(&RelayName, &PublicKey) -> bool) {
        let strangers = self.relays.iter().filter(|(name, relay)| !belongs(name, &relay.joining.public_key));
        for name in strangers.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.shut_out(now_us, &name);
            self.sharing.relays.remove(&name); // told by whoever shut it out
        }
    }

    /// One that is not known here; whether there is room for it.
    fn add_stream(&mut self, now_us: u64, id: StreamId, on: &StreamOn) -> bool {
        let Ok(about) = NewStream::try_from(&on.record) else { return false };
        let own_id = StreamId::of(&about.title, on.record.created_at_us);
        if self.streams.len() >= self.rules.streams_max || own_id != id {
            return false;
        }
        self.ended.forget(&id); // it had expired here alone
        let mut stream = if on.begun {
            Stream::restored(about, &on.record, now_us)
        } else {
            let mut stream = Stream::new(about, on.record.created_at_us, on.record.relays.clone());
            stream.extend(now_us, STREAM_START_TIME_MAX);
            stream.epoch = on.record.epoch;
            stream
        };
        (stream.moved_in_epoch, stream.list) = (on.moved_in_epoch, on.list);
        stream.removed.absorb(&on.removed, &on.networks);
        self.by_age.insert((on.record.created_at_us, id));
        self.streams.insert(id, stream);
        self.take_strange_reports(now_us, id);
        true
    }

    fn merge_stream(&mut self, now_us: u64, id: StreamId, on: &StreamOn) {
        let mut news = false;
        self.with_stream(id, now_us, |stream| {
            if stream.about.key_hash != on.record.key_hash {
                return; // two streams of one title, made within the same microsecond
            }
            stream.removed.absorb(&on.removed, &on.networks);
            stream.had_begun |= on.begun;
            stream.moved_in_epoch = stream.moved_in_epoch.max(on.moved_in_epoch);
            let theirs = (on.record.epoch, on.list, &on.record.relays);
            let ours = (stream.epoch, stream.list, &stream.assigned);
            if theirs <= ours {
                return;
            }
            news = true;
            if on.record.epoch > stream.epoch {
                stream.restored = None;
                stream.extend(now_us, FAILOVER_TIME_MAX);
            }
            (stream.epoch, stream.list) = (on.record.epoch, on.list);
            stream.assigned = on.record.relays.clone();
            stream.list_at_us = now_us;
        });
        self.news_for_broadcasters |= news;
    }

    /// A stream is known now that relays have told of before.
    pub(super) fn take_strange_reports(&mut self, now_us: u64, id: StreamId) {
        let told = self.relays.iter_mut().filter_map(|(name, relay)| {
            let report = relay.strange.remove(&id)?;
            relay.carried.insert(id);
            Some((name.clone(), report))
        });
        let told: Vec<_> = told.collect();
        self.with_stream(id, now_us, |stream| {
            for (relay, report) in told {
                stream.report(&relay, report);
            }
            stream.settle(now_us, INTERRUPTED_TIME_MAX);
        });
    }
}
