//! How what another directory tells is taken over. It is merged, so that it does not matter in which order and how often it is heard: a
//! higher epoch wins, an end is final, and of a relay counts what it said last.

use protocol::{RelayName, StreamId, http::StreamState, limits::STREAM_START_TIME_MAX, signing::PublicKey};

use super::{Mark, SharedRelay, SharedStream, StreamOn, Words};
use crate::registry::{
    EndReason, NewStream, Registry,
    check::Check,
    lease::RELAYS_MAX,
    relay::Relay,
    stream::{FAILOVER_TIME_MAX, Stream},
};

impl Registry {
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
}
