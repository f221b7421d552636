//! One viewer of a stream: its cursor, and what it was told last. Dropping the seat frees its place.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use protocol::{StreamId, TrackInfo, TrackNumber, ViewerId, http::RelayAddress};
use tokio::{sync::watch, time::Instant};

use super::{
    Gone, Publisher, Stream,
    window::{Cursor, Delivery},
};

/// A place among the viewers of a stream.
#[derive(Debug)]
pub struct ViewerSeat {
    pub(super) stream: Arc<Stream>,
    pub(super) viewer: ViewerId,
    /// How many removals were looked at.
    pub(super) removals: u64,
    pub(super) wake: watch::Receiver<()>,
    pub(super) cursor: Cursor,
    /// The version of the tracks that the cursor belongs to; `None` before the first.
    pub(super) tracks_version: Option<u64>,
    pub(super) broadcaster_present: bool,
    pub(super) viewers_version: Option<u64>,
    /// When the move was said that this viewer was told of.
    pub(super) move_told: Option<Instant>,
    /// Viewers over all streams of the relay.
    pub(super) viewers_of_relay: Arc<AtomicU32>,
}

/// What a viewer is to be sent next.
#[derive(Debug)]
pub enum ViewerEvent {
    /// The stream's tracks, and those that are sent.
    Watching {
        /// All tracks.
        tracks: Arc<[TrackInfo]>,
        /// The tracks that are sent.
        selected: Vec<TrackNumber>,
        /// The publisher's epoch.
        epoch: u32,
    },
    /// Whether a broadcaster is connected.
    Broadcaster {
        /// Whether it is.
        present: bool,
    },
    /// How many watch.
    Viewers(u32),
    /// The stream goes on elsewhere.
    Move {
        /// Where, best first.
        relays: Arc<[RelayAddress]>,
        /// How many milliseconds it still comes here.
        within_ms: u32,
    },
    /// Media.
    Media(Delivery),
    /// The stream is over.
    Ended,
    /// Nobody sends the stream to this relay.
    NotLive,
    /// The broadcaster has removed this viewer.
    Removed,
}

impl ViewerSeat {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream.id
    }

    /// Waits until there may be a [`Self::next_event`].
    pub async fn changed(&mut self) {
        // The seat holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }

    /// What the viewer is to be sent next at `now`; `None`: nothing before the next change, but for a move, for which it is asked
    /// again within [`protocol::limits::KEEP_ALIVE_INTERVAL`].
    pub fn next_event(&mut self, now: Instant) -> Option<ViewerEvent> {
        let mut state = self.stream.state();
        match state.gone {
            Some(Gone::Ended | Gone::Left) => return Some(ViewerEvent::Ended),
            Some(Gone::NotLive) => return Some(ViewerEvent::NotLive),
            None => {}
        }
        let removals = state.audience.removals();
        if std::mem::replace(&mut self.removals, removals) != removals && state.audience.is_removed(self.viewer) {
            return Some(ViewerEvent::Removed);
        }
        if self.tracks_version != Some(state.tracks_version) && !state.is_awaited() {
            self.tracks_version = Some(state.tracks_version);
            self.cursor = state.window.join();
            let selected = self.cursor.selected().collect();
            return Some(ViewerEvent::Watching { tracks: Arc::clone(&state.tracks), selected, epoch: state.epoch });
        }
        let present = matches!(state.publisher, Publisher::Connected { .. });
        if self.broadcaster_present != present {
            self.broadcaster_present = present;
            return Some(ViewerEvent::Broadcaster { present });
        }
        if let Some(moving) = state.moving.as_ref().filter(|moving| self.move_told != Some(moving.since()))
            && let Some((relays, within_ms)) = moving.told(self.viewer, now)
        {
            self.move_told = Some(moving.since());
            return Some(ViewerEvent::Move { relays, within_ms });
        }
        match self.viewers_version.replace(state.announced.version) {
            // Somebody who has just come is told the number that holds now, itself included.
            None => return Some(ViewerEvent::Viewers(state.audience.len())),
            Some(version) if version != state.announced.version => {
                return Some(ViewerEvent::Viewers(state.announced.viewers));
            }
            Some(_) => {}
        }
        if let Some(delivery) = state.window.next(&mut self.cursor) {
            return Some(ViewerEvent::Media(delivery));
        }
        if let Some(track) = self.cursor.wants_key_of(&state.window) {
            state.want_key(track);
            drop(state);
            self.stream.wake_publisher();
        }
        None
    }

    /// How many watch now.
    #[must_use]
    pub fn viewers(&self) -> u32 {
        self.stream.state().audience.len()
    }

    /// Sends `track` instead of the one of its kind. `false`: the stream has no such track.
    #[must_use]
    pub fn select(&mut self, track: TrackNumber) -> bool {
        self.cursor.select(&self.stream.state().window, track)
    }
}

impl Drop for ViewerSeat {
    fn drop(&mut self) {
        self.stream.state().audience.leave(self.viewer);
        self.viewers_of_relay.fetch_sub(1, Ordering::Relaxed);
        self.stream.metrics.viewers.dec();
    }
}
