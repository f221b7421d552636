//! One viewer's position in a window, and the rule of what it is given: nothing that can't be decoded, and nothing old when
//! something new can be shown.

use protocol::{TrackKind, TrackNumber};
use tokio::time::Instant;

use self::switch::Switch;
use super::Window;
use crate::transport::MediaFrame;

mod switch;

/// Where a viewer stands.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The sequence number to look at next.
    position: u64,
    selected: Vec<Selected>,
    /// Other tracks are sent than were told.
    switched: bool,
    /// Why the next gap exists.
    reason: SkipReason,
}

#[derive(Debug, Clone)]
struct Selected {
    track: TrackNumber,
    /// Chunks before this sequence number are not for this viewer.
    from: u64,
    /// The init segment that was sent.
    init: Option<u64>,
    /// What was sent last.
    last: Option<Last>,
    /// Another track takes its place soon.
    switch: Option<Switch>,
}

/// The chunk that was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    segment: u32,
    /// The ordinal of the chunk that follows it.
    expected: u64,
}

/// What a viewer gets, in this order: the notice, the init segment, the chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was left out before the chunk.
    pub skipped: Option<Skipped>,
    /// The chunk's init segment, when the viewer does not have it.
    pub init: Option<MediaFrame>,
    /// The chunk, as it came in.
    pub chunk: MediaFrame,
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
    /// The relay that sends the stream to this one has left them out.
    Upstream,
}

impl Cursor {
    pub(super) fn at_newest_keys(window: &Window, tracks: impl Iterator<Item = TrackNumber>) -> Self {
        let selected: Vec<_> = tracks.map(|track| Selected::at_newest_key(window, track)).collect();
        let position = selected.iter().map(|selected| selected.from).min().unwrap_or_else(|| window.end());
        Self { position, selected, switched: false, reason: SkipReason::Restarted }
    }

    /// Whether both get the same from now on.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.selected, &other.selected);
        (self.position, self.switched, self.reason) == (other.position, other.switched, other.reason)
            && ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(our, their)| our.is_as(their, self.position))
    }

    /// The tracks that are sent.
    pub fn selected(&self) -> impl Iterator<Item = TrackNumber> {
        self.selected.iter().map(|selected| selected.track)
    }

    /// Whether other tracks are sent now than when this was asked last.
    pub const fn take_switched(&mut self) -> bool {
        std::mem::replace(&mut self.switched, false)
    }

    /// The track whose next key frame this viewer waits for, as the window holds none.
    #[must_use]
    pub fn wants_key_of(&self, window: &Window) -> Option<TrackNumber> {
        let kind = window.track(self.leading(window)?.track)?.kind;
        let waits = |selected: &&Selected| {
            window.track(selected.track).is_some_and(|track| {
                let expected = selected.last.map(|last| last.expected);
                let served = expected == Some(track.ordinal_next) && selected.init == track.init_id();
                track.kind == kind && track.order.has_begun() && track.newest_key.is_none() && !served
            })
        };
        self.selected.iter().find(waits).map(|selected| selected.track)
    }

    pub(super) fn next(&mut self, window: &Window) -> Option<Delivery> {
        self.jump_when_behind(window);
        while let Some(entry) = window.entry(self.position) {
            if self.switches_at(window, entry) {
                continue;
            }
            let sequence = self.position;
            self.position += 1;
            let Some(selected) = self.selected.iter_mut().find(|selected| selected.track == entry.header.track) else {
                continue;
            };
            let Some(init) = window.track(selected.track).and_then(|track| track.init.as_ref()) else { continue };
            if sequence < selected.from || entry.init != init.id {
                continue;
            }
            let expected = selected.last.map(|last| last.expected);
            let has_init = selected.init == Some(init.id);
            let follows = expected == Some(entry.ordinal) && has_init;
            if !follows && !entry.header.key {
                continue;
            }
            let chunks = expected.map_or(0, |expected| entry.ordinal.saturating_sub(expected));
            let reason = match self.reason {
                SkipReason::Restarted if has_init => SkipReason::Upstream,
                reason => reason,
            };
            let skipped = (chunks > 0).then_some(Skipped { track: selected.track, chunks, reason });
            let init_message = (!has_init).then(|| init.message.clone());
            selected.init = Some(init.id);
            selected.last = Some(Last { segment: entry.header.segment, expected: entry.ordinal + 1 });
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
    /// goes on where it is; one that another is to take the place of gives way.
    fn jump(&mut self, window: &Window, lowest: u64) {
        self.switch_at_newest_keys(window, lowest);
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
        Self::from(track, newest_key.unwrap_or(window.first))
    }

    /// Whether both get the same from `position` on.
    fn is_as(&self, other: &Self, position: u64) -> bool {
        (self.track, self.init, self.last) == (other.track, other.init, other.last)
            && self.from.max(position) == other.from.max(position)
            && self.switch.is_none()
            && other.switch.is_none()
    }

    const fn from(track: TrackNumber, from: u64) -> Self {
        Self { track, from, init: None, last: None, switch: None }
    }
}

impl super::Track {
    fn init_id(&self) -> Option<u64> {
        self.init.as_ref().map(|init| init.id)
    }
}
