//! How far one guest of a stream is: its cursor, and what it was told last.

use std::{collections::VecDeque, sync::Arc};

use protocol::{TrackNumber, ViewerId};
use tokio::time::Instant;

use super::{Guest, ViewerEvent};
use crate::stream::{
    Gone, State,
    window::{Cursor, Delivery},
};

/// How far a guest is.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) guest: Guest,
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

impl Progress {
    pub(super) fn new(guest: Guest, state: &State) -> Self {
        Self {
            guest,
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

    /// What the guest is to be sent next.
    pub(super) fn next(&mut self, state: &State, now: Instant) -> Option<ViewerEvent> {
        if let Some(gone) = state.gone {
            return Some(self.gone(gone));
        }
        if let Some(event) = self.news(state, now) {
            return Some(event);
        }
        let media = self.waiting.pop_front().or_else(|| state.window.next(&mut self.cursor));
        if self.cursor.take_switched() {
            self.waiting.extend(media);
            return Some(self.watching(state));
        }
        media.map(ViewerEvent::Media)
    }

    /// The track whose next key frame the guest waits for.
    pub(super) fn wants_key_of(&self, state: &State) -> Option<TrackNumber> {
        self.cursor.wants_key_of(&state.window)
    }

    /// Has `track` sent instead of the one of its kind; whether the stream has it.
    pub(super) fn select(&mut self, state: &State, track: TrackNumber) -> bool {
        self.wanted = Some(track);
        // What waits is of the tracks as they were, and comes before the change.
        self.cursor.select(&state.window, track)
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

    const fn viewer(&self) -> Option<ViewerId> {
        match self.guest {
            Guest::Viewer { viewer, .. } => Some(viewer),
            Guest::Edge => None,
        }
    }
}
