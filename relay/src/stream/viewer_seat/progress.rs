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
    /// Shared with others who stand there.
    pub(super) position: Arc<Position>,
}

/// Where a guest stands: all of its progress that has nothing to do with who it is.
#[derive(Debug, Clone)]
pub(super) struct Position {
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
        let position = Position {
            cursor: state.window.join(),
            tracks_version: None,
            path_version: state.path_version,
            broadcaster_present: true,
            viewers_version: None,
            move_told: None,
            waiting: VecDeque::new(),
            wanted: None,
        };
        Self { guest, position: Arc::new(position) }
    }

    /// What the guest is to be sent next.
    pub(super) fn next(&mut self, state: &State, now: Instant) -> Option<ViewerEvent> {
        if let Some(gone) = state.gone {
            return Some(self.gone(gone));
        }
        if let Some(event) = self.news(state, now) {
            return Some(event);
        }
        let position = Arc::make_mut(&mut self.position);
        let media = position.waiting.pop_front().or_else(|| state.window.next(&mut position.cursor));
        if position.cursor.take_switched() {
            position.waiting.extend(media);
            return Some(position.watching(state));
        }
        media.map(ViewerEvent::Media)
    }

    /// The track whose next key frame the guest waits for.
    pub(super) fn wants_key_of(&self, state: &State) -> Option<TrackNumber> {
        self.position.cursor.wants_key_of(&state.window)
    }

    /// Has `track` sent instead of the one of its kind; whether the stream has it.
    pub(super) fn select(&mut self, state: &State, track: TrackNumber) -> bool {
        let position = Arc::make_mut(&mut self.position);
        position.wanted = Some(track);
        // What waits is of the tracks as they were, and comes before the change.
        position.cursor.select(&state.window, track)
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
        let viewer = self.viewer();
        let position = Arc::make_mut(&mut self.position);
        if position.tracks_version != Some(state.tracks_version) && !state.is_awaited() {
            position.tracks_version = Some(state.tracks_version);
            position.waiting.clear();
            position.cursor = match self.guest {
                Guest::Viewer { .. } => state.window.join(),
                Guest::Edge => state.window.join_all(),
            };
            position.wanted = position.wanted.filter(|track| position.cursor.select(&state.window, *track));
            position.cursor.take_switched();
            return Some(position.watching(state));
        }
        if std::mem::replace(&mut position.path_version, state.path_version) != state.path_version
            && matches!(self.guest, Guest::Edge)
        {
            return Some(position.watching(state));
        }
        let present = state.source.seems_present(now);
        if position.broadcaster_present != present {
            position.broadcaster_present = present;
            return Some(ViewerEvent::Broadcaster { present });
        }
        if let Some(moving) = state.moving.as_ref().filter(|moving| position.move_told != Some(moving.since()))
            && let Some((relays, within_ms)) = moving.told(viewer, now)
        {
            position.move_told = Some(moving.since());
            return Some(ViewerEvent::Move { relays, within_ms });
        }
        match position.viewers_version.replace(state.announced.version) {
            // Somebody who has just come is told the number that holds now, itself included.
            None => Some(ViewerEvent::Viewers(state.audience.len())),
            Some(version) if version != state.announced.version => Some(ViewerEvent::Viewers(state.announced.viewers)),
            Some(_) => None,
        }
    }

    const fn viewer(&self) -> Option<ViewerId> {
        match self.guest {
            Guest::Viewer { viewer, .. } => Some(viewer),
            Guest::Edge => None,
        }
    }
}

impl Position {
    /// Whether whoever stands at either is sent the same from now on.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.cursor.is_as(&other.cursor)
            && self.waiting.is_empty()
            && other.waiting.is_empty()
            && (self.tracks_version, self.path_version) == (other.tracks_version, other.path_version)
            && (self.broadcaster_present, self.viewers_version) == (other.broadcaster_present, other.viewers_version)
            && (self.move_told, self.wanted) == (other.move_told, other.wanted)
    }

    /// Whether it is the same for all who stand here what they are told next.
    pub(super) fn is_told_as_others(&self, state: &State) -> bool {
        state.moving.as_ref().is_none_or(|moving| self.move_told == Some(moving.since()))
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
}
