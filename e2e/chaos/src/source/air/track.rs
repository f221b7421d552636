//! Where a track of a source is: its next chunk, and whether that begins a segment.

use protocol::{MediaHeader, MediaKind, TrackNumber};

use crate::{feed::Place, now_us};

/// The numbers of a track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) number: TrackNumber,
    place: Place,
    chunks: u32,
    pub(super) key_wanted: bool,
}

impl Track {
    pub(super) const fn new(number: TrackNumber, chunks: u32) -> Self {
        // The first chunk begins segment 1.
        Self { number, place: Place { segment: 0, chunk: chunks - 1 }, chunks, key_wanted: true }
    }

    pub(super) fn next(&mut self) -> MediaHeader {
        if self.key_wanted || self.place.chunk + 1 >= self.chunks {
            self.place = Place { segment: self.place.segment + 1, chunk: 0 };
            self.key_wanted = false;
        } else {
            self.place.chunk += 1;
        }
        MediaHeader {
            kind: MediaKind::Chunk,
            key: self.place.chunk == 0,
            sealed: false,
            track: self.number,
            segment: self.place.segment,
            chunk: self.place.chunk,
            captured_at_us: now_us(),
        }
    }
}
