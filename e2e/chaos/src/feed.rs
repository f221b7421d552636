//! What of the media that come over one or two connections is shown, judged by headers alone: every chunk once, in order, and the
//! change from one connection to the next at the boundary of a segment. Pure.

use std::collections::{BTreeMap, HashMap};

use protocol::{MediaHeader, MediaKind, TrackNumber};

/// Numbers the connections of one player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// A chunk's place in its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The segment.
    pub segment: u32,
    /// The chunk within it.
    pub chunk: u32,
}

impl Place {
    /// Where a header says that its chunk belongs.
    #[must_use]
    pub const fn of(header: &MediaHeader) -> Self {
        Self { segment: header.segment, chunk: header.chunk }
    }

    fn is_followed_by(self, header: &MediaHeader) -> bool {
        let next = Self::of(header);
        if next.segment == self.segment {
            next.chunk == self.chunk.wrapping_add(1)
        } else {
            next.segment > self.segment && next.chunk == 0 && header.key
        }
    }
}

/// One chunk that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The track.
    pub track: TrackNumber,
    /// The place.
    pub place: Place,
    /// When it was captured: microseconds since the Unix epoch.
    pub captured_us: u64,
    /// When it could be shown, likewise.
    pub shown_us: u64,
}

/// What no relay should do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Chunks that came over one connection twice, or after a later one.
    pub repeated: u64,
    /// Chunks that were left out within a segment of one connection.
    pub left_out: u64,
    /// Segments that began with anything but their key chunk, and chunks before their init segment.
    pub disordered: u64,
}

/// The feed of one player.
#[derive(Debug)]
pub struct Feed {
    current: LinkId,
    next: Option<LinkId>,
    tracks: BTreeMap<TrackNumber, Track>,
    order: HashMap<(LinkId, TrackNumber), Order>,
    shown: Vec<Shown>,
    faults: Faults,
    overlap: u64,
}

#[derive(Debug, Default)]
struct Track {
    last: Option<Place>,
    /// The next connection has this track from this segment on.
    next_from: Option<u32>,
    held: Vec<MediaHeader>,
    /// The next connection has taken over.
    switched: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Order {
    init: bool,
    last: Option<Place>,
}

impl Feed {
    /// Shows what comes over `current`.
    #[must_use]
    pub fn new(current: LinkId) -> Self {
        Self {
            current,
            next: None,
            tracks: BTreeMap::new(),
            order: HashMap::new(),
            shown: vec![],
            faults: Faults::default(),
            overlap: 0,
        }
    }

    /// The connection that is shown.
    #[must_use]
    pub const fn current(&self) -> LinkId {
        self.current
    }

    /// Another connection begins, to which the feed changes at the boundary of a segment.
    pub fn prepare(&mut self, next: LinkId) {
        self.next = Some(next);
        for track in self.tracks.values_mut() {
            (track.next_from, track.switched) = (None, false);
            track.held.clear();
        }
    }

    /// Shows what comes over `link` from now on, whatever the connection before it would still have sent.
    pub fn change_to(&mut self, link: LinkId, now_us: u64) {
        let is_next = self.next == Some(link);
        self.current = link;
        self.next = None;
        self.order.retain(|(other, _), _| *other == link);
        for (&number, track) in &mut self.tracks {
            let held = std::mem::take(&mut track.held);
            (track.next_from, track.switched) = (None, false);
            if is_next {
                held.iter().for_each(|header| show(number, track, header, now_us, &mut self.shown, &mut self.overlap));
            }
        }
    }

    /// Forgets the connection that was prepared.
    pub fn forget_next(&mut self) {
        let Some(next) = self.next.take() else { return };
        self.order.retain(|(other, _), _| *other != next);
        for track in self.tracks.values_mut() {
            (track.next_from, track.switched) = (None, false);
            track.held.clear();
        }
    }

    /// Takes a header that came over `link`.
    pub fn take(&mut self, link: LinkId, header: &MediaHeader, now_us: u64) {
        if link != self.current && Some(link) != self.next {
            return;
        }
        self.check(link, header);
        if header.kind == MediaKind::Init {
            return;
        }
        let track = self.tracks.entry(header.track).or_default();
        let shown = &mut self.shown;
        let overlap = &mut self.overlap;
        if link == self.current && self.next.is_none() {
            show(header.track, track, header, now_us, shown, overlap);
        } else if link == self.current {
            if track.switched {
                *overlap += 1;
            } else if track.next_from.is_some_and(|from| header.segment >= from) {
                track.take_over(header.track, now_us, shown, overlap);
                show(header.track, track, header, now_us, shown, overlap);
            } else {
                show(header.track, track, header, now_us, shown, overlap);
            }
        } else if track.switched {
            show(header.track, track, header, now_us, shown, overlap);
        } else {
            let from = *track.next_from.get_or_insert(header.segment);
            track.held.push(*header);
            // The connection before it is in that segment already: there is no end of an earlier one to wait for.
            if track.last.is_none_or(|last| last.segment >= from) {
                track.take_over(header.track, now_us, shown, overlap);
            }
        }
    }

    /// Whether every track comes from the connection that was prepared.
    #[must_use]
    pub fn has_switched(&self) -> bool {
        self.next.is_some() && !self.tracks.is_empty() && self.tracks.values().all(|track| track.switched)
    }

    /// Whether the prepared connection has sent media that are held back.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tracks.values().any(|track| !track.held.is_empty())
    }

    /// What was shown so far.
    #[must_use]
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// What was shown, and what was wrong.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Shown>, Faults) {
        (self.shown, self.faults)
    }

    /// Chunks that came over two connections, and were shown once.
    #[must_use]
    pub const fn overlap(&self) -> u64 {
        self.overlap
    }

    /// What was wrong so far.
    #[must_use]
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// The order that one connection keeps by itself.
    fn check(&mut self, link: LinkId, header: &MediaHeader) {
        let order = self.order.entry((link, header.track)).or_default();
        if header.kind == MediaKind::Init {
            order.init = true;
            return;
        }
        let place = Place::of(header);
        match order.last {
            Some(last) if place <= last => self.faults.repeated += 1,
            Some(last) if place.segment == last.segment => {
                self.faults.left_out += u64::from(place.chunk - last.chunk - 1);
            }
            _ if !order.init || place.chunk != 0 || !header.key => self.faults.disordered += 1,
            _ => {}
        }
        order.last = order.last.max(Some(place));
    }
}

impl Track {
    fn take_over(&mut self, number: TrackNumber, now_us: u64, shown: &mut Vec<Shown>, overlap: &mut u64) {
        self.switched = true;
        for header in std::mem::take(&mut self.held) {
            show(number, self, &header, now_us, shown, overlap);
        }
    }
}

/// Shows a chunk when it is the next that can be: a player that would show another had to show it again, or can't decode it.
fn show(
    number: TrackNumber,
    track: &mut Track,
    header: &MediaHeader,
    now_us: u64,
    shown: &mut Vec<Shown>,
    overlap: &mut u64,
) {
    let place = Place::of(header);
    if track.last.is_some_and(|last| place <= last) {
        *overlap += 1;
    } else if track.last.map_or(header.key && header.chunk == 0, |last| last.is_followed_by(header)) {
        track.last = Some(place);
        shown.push(Shown { track: number, place, captured_us: header.captured_at_us, shown_us: now_us });
    }
}

#[cfg(test)]
mod tests;
