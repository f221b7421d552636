//! One viewer's position in a window, and the rule of what it is given: nothing that can't be decoded, and nothing old when
//! something new can be shown.

use bytes::Bytes;
use protocol::{TrackKind, TrackNumber};
use tokio::time::Instant;

use super::Window;

/// Where a viewer stands.
#[derive(Debug)]
pub struct Cursor {
    /// The sequence number to look at next.
    position: u64,
    selected: Vec<Selected>,
    /// Why the next gap exists.
    reason: SkipReason,
}

#[derive(Debug)]
struct Selected {
    track: TrackNumber,
    /// Chunks before this sequence number are not for this viewer.
    from: u64,
    /// The init segment that was sent.
    init: Option<u64>,
    /// The ordinal of the chunk that follows the last one sent.
    expected: Option<u64>,
}

/// What a viewer gets, in this order: the notice, the init segment, the chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was left out before the chunk.
    pub skipped: Option<Skipped>,
    /// The chunk's init segment, when the viewer does not have it.
    pub init: Option<Bytes>,
    /// The chunk, as it came in.
    pub chunk: Bytes,
    /// When it came in.
    pub arrived: Instant,
}

/// Chunks that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Their track.
    pub track: TrackNumber,
    /// How many.
    pub chunks: u64,
    /// Why.
    pub reason: SkipReason,
}

/// Why chunks were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The viewer was too far behind the live edge, and a newer key frame was there.
    Behind,
    /// The viewer was so far behind that the window no longer held what it needed.
    Evicted,
    /// The track has a new init segment.
    Restarted,
}

impl Cursor {
    pub(super) fn at_newest_keys(window: &Window, tracks: impl Iterator<Item = TrackNumber>) -> Self {
        let selected: Vec<_> = tracks.map(|track| Selected::at_newest_key(window, track)).collect();
        let position = selected.iter().map(|selected| selected.from).min().unwrap_or_else(|| window.end());
        Self { position, selected, reason: SkipReason::Restarted }
    }

    /// The tracks that are sent.
    pub fn selected(&self) -> impl Iterator<Item = TrackNumber> {
        self.selected.iter().map(|selected| selected.track)
    }

    /// Sends `track` instead of the one of its kind, from its newest key frame on. `false`: there is no such track.
    #[must_use]
    pub fn select(&mut self, window: &Window, track: TrackNumber) -> bool {
        let Some(kind) = window.track(track).map(|track| track.kind) else { return false };
        if self.selected().any(|selected| selected == track) {
            return true;
        }
        for selected in &mut self.selected {
            selected.from = selected.from.max(self.position);
        }
        self.selected.retain(|selected| window.track(selected.track).is_some_and(|track| track.kind != kind));
        let new = Selected::at_newest_key(window, track);
        self.position = self.position.min(new.from);
        self.selected.push(new);
        true
    }

    /// The track whose next key frame this viewer waits for, as the window holds none.
    #[must_use]
    pub fn wants_key_of(&self, window: &Window) -> Option<TrackNumber> {
        let leading = self.leading(window)?;
        let track = window.track(leading.track)?;
        let served = leading.expected == Some(track.ordinal_next) && leading.init == track.init_id();
        (track.order.has_begun() && track.newest_key.is_none() && !served).then_some(leading.track)
    }

    pub(super) fn next(&mut self, window: &Window) -> Option<Delivery> {
        self.jump_when_behind(window);
        while let Some(entry) = window.entry(self.position) {
            let sequence = self.position;
            self.position += 1;
            let Some(selected) = self.selected.iter_mut().find(|selected| selected.track == entry.header.track) else {
                continue;
            };
            let Some(init) = window.track(selected.track).and_then(|track| track.init.as_ref()) else { continue };
            if sequence < selected.from || entry.init != init.id {
                continue;
            }
            let follows = selected.expected == Some(entry.ordinal) && selected.init == Some(init.id);
            if !follows && !entry.header.key {
                continue;
            }
            let chunks = selected.expected.map_or(0, |expected| entry.ordinal.saturating_sub(expected));
            let skipped = (chunks > 0).then_some(Skipped { track: selected.track, chunks, reason: self.reason });
            let init_message = (selected.init != Some(init.id)).then(|| init.message.clone());
            selected.init = Some(init.id);
            selected.expected = Some(entry.ordinal + 1);
            return Some(Delivery {
                skipped,
                init: init_message,
                chunk: entry.message.clone(),
                arrived: entry.arrived,
            });
        }
        self.reason = SkipReason::Restarted;
        None
    }

    /// The track that decides where to go on: the picture, or the sound of a stream without one.
    fn leading(&self, window: &Window) -> Option<&Selected> {
        let is_video =
            |selected: &&Selected| window.track(selected.track).is_some_and(|track| track.kind == TrackKind::Video);
        self.selected.iter().find(is_video).or(self.selected.first())
    }

    fn jump_when_behind(&mut self, window: &Window) {
        if self.position < window.first {
            self.reason = SkipReason::Evicted;
            self.jump(window, window.first);
        } else if window.is_far_behind(self.position) && self.newer_key_is_ahead(window) {
            self.reason = SkipReason::Behind;
            self.jump(window, self.position);
        }
    }

    fn newer_key_is_ahead(&self, window: &Window) -> bool {
        let newest_key =
            self.leading(window).and_then(|leading| window.track(leading.track)).and_then(|track| track.newest_key);
        newest_key.is_some_and(|newest_key| newest_key > self.position)
    }

    /// Every track goes on at its newest key frame at or after `lowest`. A track whose newest key frame was sent already
    /// goes on where it is.
    fn jump(&mut self, window: &Window, lowest: u64) {
        for selected in &mut self.selected {
            let newest_key = window.track(selected.track).and_then(|track| track.newest_key);
            selected.from = newest_key.unwrap_or(lowest).max(selected.from).max(lowest);
        }
        self.position = self.selected.iter().map(|selected| selected.from).min().unwrap_or_else(|| window.end());
    }
}

impl Selected {
    fn at_newest_key(window: &Window, track: TrackNumber) -> Self {
        let newest_key = window.track(track).and_then(|track| track.newest_key);
        Self { track, from: newest_key.unwrap_or(window.first), init: None, expected: None }
    }
}

impl super::Track {
    fn init_id(&self) -> Option<u64> {
        self.init.as_ref().map(|init| init.id)
    }
}
