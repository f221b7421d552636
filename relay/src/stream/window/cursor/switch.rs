//! From one track to another of its kind, such as to a smaller picture, without a gap: the old one goes on to the end of its segment,
//! and the new one begins with the segment after it, as tracks of one kind number their segments alike.

use std::time::Duration;

use protocol::TrackNumber;
use tokio::time::Instant;

use super::{Cursor, Selected};
use crate::stream::window::{Entry, Window};

/// How long a segment of the old track is held back at most for the same segment of the new one: encoders take a few frames' time
/// longer or shorter than one another. Past it the new track begins where it can, or not at all.
const HELD_TIME_MAX: Duration = Duration::from_millis(500);

/// A switch to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch {
    to: TrackNumber,
    held: Option<Held>,
}

/// The old track's segment is over; the next one is held back.
#[derive(Debug, Clone, Copy)]
struct Held {
    sequence: u64,
    segment: u32,
    since: Instant,
}

/// What to do at an entry.
enum Turn {
    /// The new track begins at this sequence number.
    To(u64),
    /// The old track's next segment waits.
    Hold(Held),
    /// There is no new track to be had: the old one goes on.
    Stay,
    /// The entry waits, too.
    Pass,
}

impl Cursor {
    /// Sends `track` instead of the one of its kind, from the next segment on; from its newest key frame on where nothing was sent of
    /// that kind. `false`: there is no such track.
    #[must_use]
    pub fn select(&mut self, window: &Window, track: TrackNumber) -> bool {
        let Some(kind) = window.track(track).map(|track| track.kind) else { return false };
        let of_kind = |selected: &Selected| window.track(selected.track).is_some_and(|track| track.kind == kind);
        match self.selected.iter().position(of_kind) {
            None => {
                self.selected.push(Selected::at_newest_key(window, track));
                self.go_back_to(self.selected.len() - 1);
                self.switched = true;
            }
            Some(index) if self.selected[index].track == track => self.stay(index),
            Some(index) if self.selected[index].last.is_none() => {
                let newest_key = window.track(track).and_then(|track| track.newest_key);
                self.switch(index, track, newest_key.unwrap_or(window.first));
            }
            Some(index) => {
                let held = self.selected[index].switch.and_then(|switch| switch.held);
                self.selected[index].switch = Some(Switch { to: track, held });
            }
        }
        true
    }

    /// Whether a switch makes something of the entry at the position; it is to be looked at anew then.
    pub(super) fn switches_at(&mut self, window: &Window, entry: &Entry) -> bool {
        let concerns = |selected: &Selected| {
            selected
                .switch
                .is_some_and(|switch| switch.to == entry.header.track || selected.track == entry.header.track)
        };
        let Some(index) = self.selected.iter().position(concerns) else { return false };
        let Some(turn) = self.selected[index].turn(window, entry, self.position) else { return false };
        match turn {
            Turn::To(sequence) => {
                let to = self.selected[index].switch.map_or(entry.header.track, |switch| switch.to);
                self.switch(index, to, sequence);
            }
            Turn::Hold(held) => {
                if let Some(switch) = &mut self.selected[index].switch {
                    switch.held = Some(held);
                }
                self.position += 1;
            }
            Turn::Stay => self.stay(index),
            Turn::Pass => self.position += 1,
        }
        true
    }

    /// Where a viewer jumps ahead, every switch is made at once that can be.
    pub(super) fn switch_at_newest_keys(&mut self, window: &Window, lowest: u64) {
        for index in 0..self.selected.len() {
            let Some(Switch { to, .. }) = self.selected[index].switch else { continue };
            let newest_key = window.track(to).and_then(|track| track.newest_key);
            if let Some(newest_key) = newest_key.filter(|newest_key| *newest_key >= lowest) {
                self.selected[index] = Selected::from(to, newest_key);
                self.switched = true;
            }
        }
    }

    fn switch(&mut self, index: usize, to: TrackNumber, from: u64) {
        self.selected[index] = Selected::from(to, from);
        self.switched = true;
        self.go_back_to(index);
    }

    /// No other track is wanted any more; what was held back is sent.
    fn stay(&mut self, index: usize) {
        let Some(Switch { held, .. }) = self.selected[index].switch.take() else { return };
        if let Some(held) = held {
            self.selected[index].from = self.selected[index].from.max(held.sequence);
            self.go_back_to_sequence(index, held.sequence);
        }
    }

    fn go_back_to(&mut self, index: usize) {
        self.go_back_to_sequence(index, self.selected[index].from);
    }

    /// Looks at what is behind the position once more, for this track alone.
    fn go_back_to_sequence(&mut self, index: usize, sequence: u64) {
        let position = self.position;
        for (_, other) in self.selected.iter_mut().enumerate().filter(|(each, _)| *each != index) {
            other.from = other.from.max(position);
        }
        self.position = position.min(sequence);
    }
}

impl Selected {
    /// What its switch makes of the entry at `sequence`, if anything.
    fn turn(&self, window: &Window, entry: &Entry, sequence: u64) -> Option<Turn> {
        let switch = self.switch?;
        let segment = entry.header.segment;
        if entry.header.track == switch.to {
            let due = match switch.held {
                Some(held) => segment >= held.segment,
                // The old track brings nothing more.
                None => self.last.is_some_and(|last| segment > last.segment.saturating_add(1)),
            };
            return (due && entry.header.key && sequence >= self.from).then_some(Turn::To(sequence));
        }
        if sequence < self.from {
            return None;
        }
        let Some(held) = switch.held else {
            let is_next = entry.header.key && self.last.is_none_or(|last| segment > last.segment);
            let held = Held { sequence, segment, since: entry.arrived };
            return is_next.then(|| window.key_of(switch.to, segment).map_or(Turn::Hold(held), Turn::To));
        };
        if entry.arrived.duration_since(held.since) < HELD_TIME_MAX {
            return Some(Turn::Pass);
        }
        let newest_key = window.track(switch.to).and_then(|track| track.newest_key);
        Some(newest_key.map_or(Turn::Stay, Turn::To))
    }
}

impl Window {
    /// The sequence number of the first key frame of this track in this segment or a later one.
    fn key_of(&self, track: TrackNumber, segment: u32) -> Option<u64> {
        let init = self.track(track)?.init_id()?;
        let is_key = |entry: &Entry| {
            let header = &entry.header;
            header.track == track && header.key && header.segment >= segment && entry.init == init
        };
        Some(self.first + self.entries.iter().position(is_key)? as u64)
    }
}
