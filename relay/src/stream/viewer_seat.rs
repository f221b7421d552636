//! One viewer of a stream, or another relay that pulls it: its cursor, and what it was told last. Dropping the seat frees its place.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use protocol::{RelayName, StreamId, TrackInfo, TrackNumber, ViewerId, http::RelayAddress};
use tokio::{sync::watch, time::Instant};

use super::{
    Gone, State, Stream,
    fan_out::{self, Place},
    window::{Cursor, Delivery},
};

/// A place among those that a stream is sent to.
#[derive(Debug)]
pub struct ViewerSeat {
    stream: Arc<Stream>,
    guest: Guest,
    wake: watch::Receiver<()>,
    cursor: Cursor,
    /// The version of the tracks that the cursor belongs to; `None` before the first.
    tracks_version: Option<u64>,
    /// The version of the path that was told last.
    path_version: u64,
    broadcaster_present: bool,
    viewers_version: Option<u64>,
    /// When the move was said that this guest was told of.
    move_told: Option<Instant>,
    /// Media that comes after something else.
    waiting: VecDeque<Delivery>,
    /// The track that was asked for. A viewer that knows the stream asks before it is told of the tracks.
    wanted: Option<TrackNumber>,
}

/// The way into a row of those that a stream is sent to.
#[derive(Debug)]
pub struct Joining {
    stream: Arc<Stream>,
    news: watch::Receiver<()>,
}

impl Joining {
    /// Has `guest` served.
    pub fn join(self, guest: Arc<dyn fan_out::Guest>) -> Place {
        self.stream.fan_out.join(guest, &self.news, &self.stream.metrics)
    }
}

/// Who sits there.
#[derive(Debug)]
pub(super) enum Guest {
    /// Somebody who watches, and one track of each kind.
    Viewer {
        viewer: ViewerId,
        /// How many removals were looked at.
        removals: u64,
        /// Viewers over all streams of the relay.
        viewers_of_relay: Arc<AtomicU32>,
    },
    /// A relay with viewers of its own, and every track. It is no viewer.
    Edge,
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
        /// The relays that it comes through before this one.
        path: Arc<[RelayName]>,
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
    /// A seat for `guest`, who has just joined what `state` is the state of.
    pub(super) fn new(stream: Arc<Stream>, guest: Guest, state: &State) -> Self {
        let wake = stream.for_viewers.subscribe();
        Self {
            stream,
            guest,
            wake,
            cursor: state.window.join(),
            tracks_version: None,
            path_version: state.path_version,
            broadcaster_present: true,
            viewers_version: None,
            move_told: None,
            waiting: VecDeque::new(),
            wanted: None,
        }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream.id
    }

    /// The row that this seat is served in, with others of its stream.
    #[must_use]
    pub fn row(&self) -> Joining {
        Joining { stream: Arc::clone(&self.stream), news: self.wake.clone() }
    }

    /// Waits until there may be a [`Self::next_event`].
    pub async fn changed(&mut self) {
        // The seat holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }

    /// What the viewer is to be sent next at `now`; `None`: nothing before the next change, but for a move and the absence of a
    /// broadcaster, for which it is asked again within [`protocol::limits::KEEP_ALIVE_INTERVAL`].
    pub fn next_event(&mut self, now: Instant) -> Option<ViewerEvent> {
        let stream = Arc::clone(&self.stream);
        let mut state = stream.state();
        if let Some(gone) = state.gone {
            return Some(self.gone(gone));
        }
        if let Some(event) = self.news(&state, now) {
            return Some(event);
        }
        let media = self.waiting.pop_front().or_else(|| state.window.next(&mut self.cursor));
        if self.cursor.take_switched() {
            self.waiting.extend(media);
            return Some(self.watching(&state));
        }
        if let Some(delivery) = media {
            return Some(ViewerEvent::Media(delivery));
        }
        if let Some(track) = self.cursor.wants_key_of(&state.window) {
            state.want_key(track);
            drop(state);
            self.stream.wake_publisher();
        }
        None
    }

    fn gone(&self, gone: Gone) -> ViewerEvent {
        match (gone, &self.guest) {
            // A relay whose broadcaster has left knows of no end: another relay may have the stream.
            (Gone::NotLive, _) | (Gone::Left, Guest::Edge) => ViewerEvent::NotLive,
            (Gone::Ended, _) | (Gone::Left, Guest::Viewer { .. }) => ViewerEvent::Ended,
        }
    }

    /// What is to be told before any media.
    fn news(&mut self, state: &State, now: Instant) -> Option<ViewerEvent> {
        if let Guest::Viewer { viewer, removals, .. } = &mut self.guest {
            let counted = state.audience.removals();
            if std::mem::replace(removals, counted) != counted && state.audience.is_removed(*viewer) {
                return Some(ViewerEvent::Removed);
            }
        }
        if self.tracks_version != Some(state.tracks_version) && !state.is_awaited() {
            self.tracks_version = Some(state.tracks_version);
            self.waiting.clear();
            self.cursor = match self.guest {
                Guest::Viewer { .. } => state.window.join(),
                Guest::Edge => state.window.join_all(),
            };
            self.wanted = self.wanted.filter(|track| self.cursor.select(&state.window, *track));
            self.cursor.take_switched();
            return Some(self.watching(state));
        }
        if self.path_version != state.path_version && matches!(self.guest, Guest::Edge) {
            return Some(self.watching(state));
        }
        let present = state.source.seems_present(now);
        if self.broadcaster_present != present {
            self.broadcaster_present = present;
            return Some(ViewerEvent::Broadcaster { present });
        }
        if let Some(moving) = state.moving.as_ref().filter(|moving| self.move_told != Some(moving.since()))
            && let Some((relays, within_ms)) = moving.told(self.viewer(), now)
        {
            self.move_told = Some(moving.since());
            return Some(ViewerEvent::Move { relays, within_ms });
        }
        match self.viewers_version.replace(state.announced.version) {
            // Somebody who has just come is told the number that holds now, itself included.
            None => Some(ViewerEvent::Viewers(state.audience.len())),
            Some(version) if version != state.announced.version => Some(ViewerEvent::Viewers(state.announced.viewers)),
            Some(_) => None,
        }
    }

    fn watching(&mut self, state: &State) -> ViewerEvent {
        self.path_version = state.path_version;
        ViewerEvent::Watching {
            tracks: Arc::clone(&state.tracks),
            selected: self.cursor.selected().collect(),
            epoch: state.epoch,
            path: Arc::clone(&state.path),
        }
    }

    /// How many watch now.
    #[must_use]
    pub fn viewers(&self) -> u32 {
        self.stream.state().audience.len()
    }

    /// Sends `track` instead of the one of its kind. `false`: the stream has no such track.
    #[must_use]
    pub fn select(&mut self, track: TrackNumber) -> bool {
        self.wanted = Some(track);
        // What waits is of the tracks as they were, and comes before the change.
        self.cursor.select(&self.stream.state().window, track)
    }

    /// Somebody behind this guest waits for a key frame of `track`.
    pub fn want_key(&self, track: TrackNumber) {
        let mut state = self.stream.state();
        if state.tracks.iter().any(|info| info.track == track) {
            state.want_key(track);
            drop(state);
            self.stream.wake_publisher();
        }
    }

    const fn viewer(&self) -> Option<ViewerId> {
        match self.guest {
            Guest::Viewer { viewer, .. } => Some(viewer),
            Guest::Edge => None,
        }
    }
}

impl Drop for ViewerSeat {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        match &self.guest {
            Guest::Viewer { viewer, viewers_of_relay, .. } => {
                state.audience.leave(*viewer);
                viewers_of_relay.fetch_sub(1, Ordering::Relaxed);
                self.stream.metrics.viewers.dec();
            }
            Guest::Edge => {
                state.edges -= 1;
                self.stream.metrics.edges.dec();
            }
        }
    }
}
