//! Streams that have to leave their relay: it was shut out, or somebody else answers at its address.

use protocol::{BroadcastKey, RelayName, StreamId};

use super::{EndReason, Note, Place, PlaceError, Registry, assignment, stream::FAILOVER_TIME_MAX};

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
        for stream in self.streams.values_mut() {
            stream.assigned.retain(|assigned| assigned != name);
        }
        self.find_homes(now_us);
    }

    /// What the broadcaster that owns a stream is to do.
    ///
    /// # Errors
    /// When there is no such stream, or the key is another stream's.
    pub fn orders(&self, id: StreamId, key: &BroadcastKey) -> Result<Orders, PlaceError> {
        let stream = self.owned(id, key)?;
        let place = self.place(&stream.assigned, stream.epoch).ok();
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

    fn make_homeless(&mut self, relay: &RelayName) {
        let belongs = self.streams.values().filter(|stream| stream.belongs_on(relay));
        self.homeless.extend(belongs.map(|stream| stream.id));
    }

    /// Moves the streams whose relay went wrong, as far as others have room. To be tried again until they do.
    pub(super) fn find_homes(&mut self, now_us: u64) {
        for id in std::mem::take(&mut self.homeless) {
            let Some(stream) = self.streams.get(&id) else { continue };
            let home = stream.live_on().and_then(|(relay, _)| self.relays.get(relay));
            if home.is_some_and(|relay| relay.check.is_good()) {
                continue; // its relay was checked again, or its broadcaster has moved by itself
            }
            let epoch = stream.epoch.saturating_add(1);
            let assigned = assignment::preferred(&self.relays, &self.streams, Some(id), None, now_us);
            if assigned.is_empty() {
                self.homeless.insert(id);
                continue;
            }
            self.news_for_broadcasters = true;
            self.notes.push(Note::StreamMoved(id));
            self.with_stream(id, now_us, |stream| {
                stream.epoch = epoch;
                stream.moved_in_epoch = epoch;
                stream.assigned = assigned;
                stream.restored = None;
                stream.extend(now_us, FAILOVER_TIME_MAX);
            });
        }
    }
}
