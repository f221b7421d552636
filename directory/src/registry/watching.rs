//! Who may watch: passwords, renewals, and viewers that the broadcaster removed.

use protocol::{
    BroadcastKey, RelayName, StreamId, ViewerId,
    http::{RemovedViewer, StreamSummary},
};
use service::Network;
use thiserror::Error;

use super::{Place, PlaceError, Registry, Wish};
use crate::password::PasswordHash;

/// Most removed viewers that one heartbeat's answer names: each is named in every answer for ten minutes.
const TOLD_MAX: usize = 4096;

/// Why somebody may not watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WatchError {
    /// There is nothing to watch.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The broadcaster does not want this viewer.
    #[error("the broadcaster has removed you from this stream")]
    Removed,
}

impl Registry {
    /// What a viewer of this stream must know, if it must know anything.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn password(&self, id: StreamId) -> Result<Option<PasswordHash>, PlaceError> {
        Ok(self.streams.get(&id).ok_or(PlaceError::NotFound)?.about.password.clone())
    }

    /// Where somebody watches who comes from `network` and is `viewer` from now on.
    ///
    /// # Errors
    /// When there is no such stream or no relay of it, or a viewer from there was removed.
    pub fn admit(
        &mut self,
        now_us: u64,
        id: StreamId,
        viewer: ViewerId,
        network: Network,
        wish: &Wish,
    ) -> Result<(StreamSummary, Place), WatchError> {
        let stream = self.streams.get(&id).ok_or(PlaceError::NotFound)?;
        if stream.removed.has_network(&network) {
            return Err(WatchError::Removed);
        }
        self.renew(now_us, id, viewer, Some(network), wish)
    }

    /// Where a viewer goes on watching that was admitted before. `network`: where it is now, unless its relay asks in its place.
    ///
    /// # Errors
    /// When there is no such stream or no relay of it, or the viewer was removed.
    pub fn renew(
        &mut self,
        now_us: u64,
        id: StreamId,
        viewer: ViewerId,
        network: Option<Network>,
        wish: &Wish,
    ) -> Result<(StreamSummary, Place), WatchError> {
        let answer = self.watched(now_us, id, wish);
        let stream = self.streams.get_mut(&id).ok_or(PlaceError::NotFound)?;
        if stream.removed.has(viewer) {
            return Err(WatchError::Removed);
        }
        let (summary, place, choice) = answer?;
        if let Some(network) = network {
            stream.removed.seen(viewer, network);
        }
        if !choice.names.first().is_some_and(|first| wish.held.contains(first)) {
            self.sent(now_us, id, &choice);
        }
        Ok((summary, place))
    }

    /// The broadcaster does not want this viewer. One that never was is as unwanted.
    ///
    /// # Errors
    /// When there is no such stream, or the key is another stream's.
    pub fn remove_viewer(
        &mut self,
        now_us: u64,
        id: StreamId,
        key: &BroadcastKey,
        viewer: ViewerId,
    ) -> Result<(), PlaceError> {
        self.owned(id, key)?;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.removed.remove(viewer, now_us);
            self.sharing.touch_stream(id);
        }
        Ok(())
    }

    /// The removed viewers that a relay is to send away.
    #[must_use]
    pub fn removed_at(&self, now_us: u64, relay: &RelayName) -> Vec<RemovedViewer> {
        let Some(relay) = self.relays.get(relay) else { return Vec::new() };
        let carried = relay.carried.iter().filter_map(|id| self.streams.get(id));
        let told = carried
            .flat_map(|stream| stream.removed.told(now_us).map(|viewer| RemovedViewer { stream: stream.id, viewer }));
        told.take(TOLD_MAX).collect()
    }
}
