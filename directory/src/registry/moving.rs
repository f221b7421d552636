//! Streams that have to leave their relay: it was shut out, somebody else answers at its address, it is to be rid of them, or an
//! operator wants it.

use protocol::{BroadcastKey, RelayName, StreamId, limits::RELAYS_NAMED_MAX};
use thiserror::Error;

use super::{EndReason, Note, Place, PlaceError, Registry, assignment, stream::FAILOVER_TIME_MAX};

/// Why a stream was not moved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoveError {
    /// There is no such stream.
    #[error(transparent)]
    Stream(#[from] PlaceError),
    /// There is no such relay, or it takes nothing.
    #[error("{0} takes no stream right now; `directory relays` says how it is doing")]
    Relay(RelayName),
    /// It has the stream.
    #[error("the stream is on {0} already")]
    There(RelayName),
}

/// Where a broadcaster is to send its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Orders {
    /// The epoch of the last move that the directory wanted; 1 when it never wanted one.
    pub moved_in_epoch: u32,
    /// Another number whenever the list of relays is another within an epoch.
    pub list: u32,
    /// Where the stream belongs now; none while no relay has room.
    pub place: Option<Place>,
}

impl Registry {
    /// An operator shuts a relay out: nobody is sent there from now on, and its streams move.
    pub fn shut_out(&mut self, now_us: u64, name: &RelayName) {
        self.make_homeless(name);
        self.drop_relay(name, now_us);
        self.sharing.touch_relay(name);
        for stream in self.streams.values_mut().filter(|stream| stream.assigned.contains(name)) {
            stream.assigned.retain(|assigned| assigned != name);
            stream.list = stream.list.wrapping_add(1);
            self.sharing.touch_stream(stream.id);
            self.news_for_broadcasters = true;
        }
        self.find_homes(now_us);
    }

    /// An operator wants a relay to be rid of its streams, or not any more. Tells how many it carries, and none when there is no such
    /// relay.
    pub fn drain(&mut self, now_us: u64, name: &RelayName, wanted: bool) -> Option<u32> {
        let relay = self.relays.get_mut(name)?;
        (relay.told_to_drain, relay.words.drain_at_us) = (wanted, now_us);
        self.sharing.touch_relay(name);
        let streams = relay.streams;
        self.empty(now_us, name);
        Some(streams)
    }

    /// Whether an operator wants this relay to be rid of its streams.
    #[must_use]
    pub fn is_told_to_drain(&self, name: &RelayName) -> bool {
        self.relays.get(name).is_some_and(|relay| relay.told_to_drain)
    }

    /// Moves a stream to another relay, without a gap: its broadcaster sends to both for a while.
    ///
    /// # Errors
    /// When there is no such stream, or the relay can't take it or has it.
    pub fn move_stream(&mut self, now_us: u64, id: StreamId, to: &RelayName) -> Result<(), MoveError> {
        let stream = self.streams.get(&id).ok_or(PlaceError::NotFound)?;
        if stream.has_to_leave(to) {
            return Err(MoveError::There(to.clone()));
        }
        let loads = assignment::loads(&self.relays, &self.streams, Some(id));
        let takes = self.relays.get(to).zip(loads.get(to)).is_some_and(|(relay, load)| {
            !relay.is_lost(now_us) && self.health(relay, *load, now_us) == super::RelayHealth::Ready
        });
        if !takes {
            return Err(MoveError::Relay(to.clone()));
        }
        self.move_to(now_us, id, to);
        Ok(())
    }

    /// Moves a stream to a relay that takes it.
    pub(super) fn move_to(&mut self, now_us: u64, id: StreamId, to: &RelayName) {
        let mut assigned = self.preferred(Some(id), None, now_us);
        assigned.retain(|name| name != to);
        assigned.insert(0, to.clone());
        assigned.truncate(RELAYS_NAMED_MAX);
        self.order_to(now_us, id, assigned);
    }

    /// What the broadcaster that owns a stream is to do.
    ///
    /// # Errors
    /// When there is no such stream, or the key is another stream's.
    pub fn orders(&self, id: StreamId, key: &BroadcastKey) -> Result<Orders, PlaceError> {
        let stream = self.owned(id, key)?;
        let live = stream.live_on().filter(|(_, report)| report.epoch == stream.epoch).map(|(name, _)| name);
        let mut place = self.place(&stream.assigned, stream.epoch, live).ok();
        place.iter_mut().for_each(|place| place.remember(&stream.recalled));
        Ok(Orders { moved_in_epoch: stream.moved_in_epoch, list: stream.list, place })
    }

    /// Why a stream ended, while it is remembered.
    #[must_use]
    pub fn end_reason(&self, id: &StreamId) -> Option<EndReason> {
        self.ended.reason(id)
    }

    /// Whether broadcasters have other orders since this was asked last.
    pub fn take_news_for_broadcasters(&mut self) -> bool {
        std::mem::take(&mut self.news_for_broadcasters)
    }

    /// Moves what belongs on this relay to others.
    pub(super) fn move_streams_of(&mut self, now_us: u64, name: &RelayName) {
        self.make_homeless(name);
        self.find_homes(now_us);
    }

    /// Moves what is on a draining relay, or arrives there, to others.
    pub(super) fn empty(&mut self, now_us: u64, name: &RelayName) {
        if self.relays.get(name).is_some_and(|relay| relay.is_draining()) {
            let leaving = self.streams.values().filter(|stream| stream.has_to_leave(name));
            self.homeless.extend(leaving.map(|stream| stream.id));
            self.find_homes(now_us);
        }
    }

    fn make_homeless(&mut self, relay: &RelayName) {
        let belongs = self.streams.values().filter(|stream| stream.belongs_on(relay));
        self.homeless.extend(belongs.map(|stream| stream.id));
    }

    /// Moves the streams whose relay went wrong, as far as others have room. To be tried again until they do.
    pub(super) fn find_homes(&mut self, now_us: u64) {
        for id in std::mem::take(&mut self.homeless) {
            let Some(stream) = self.streams.get(&id) else { continue };
            let home = stream.live_on().and_then(|(relay, _)| self.relays.get(relay));
            if home.is_some_and(|relay| relay.check.is_good() && !relay.is_draining()) {
                continue; // its relay was checked again, or its broadcaster has moved by itself
            }
            let assigned = self.preferred(Some(id), None, now_us);
            if assigned.is_empty() {
                self.homeless.insert(id);
                continue;
            }
            self.order_to(now_us, id, assigned);
        }
    }

    fn order_to(&mut self, now_us: u64, id: StreamId, assigned: Vec<RelayName>) {
        self.news_for_broadcasters = true;
        self.notes.push(Note::StreamMoved(id));
        self.with_stream(id, now_us, |stream| {
            stream.epoch = stream.epoch.saturating_add(1);
            stream.moved_in_epoch = stream.epoch;
            stream.assigned = assigned;
            stream.restored = None;
            stream.extend(now_us, FAILOVER_TIME_MAX);
        });
    }
}
