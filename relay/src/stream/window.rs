//! The window of one stream: the newest media messages up to a bound in bytes, and the decision which of them a viewer gets
//! next. Pure: no sockets, no clock, no locks. A viewer is a [`Cursor`], a position in the window; nothing is queued per viewer.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::{ErrorCode, MediaHeader, MediaKind, TrackInfo, TrackKind, TrackNumber, limits::VIEWER_BEHIND_TIME_MAX};
use thiserror::Error;
use tokio::time::Instant;

use crate::transport::MediaFrame;

mod cursor;
mod order;
mod splice;

pub use cursor::{Cursor, Delivery, SkipReason, Skipped};
use order::Order;

/// Largest init segment: a `moov` with its codec configuration has 1-2 kB. Init segments are held beside the chunks for as long
/// as the stream lives, so they may not be as large as a chunk.
pub const INIT_BYTES_MAX: usize = 64 * 1024;

/// Why a media message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its track was not registered.
    #[error("track {0} was not registered")]
    UnknownTrack(TrackNumber),
    /// A chunk before the init segment of its track.
    #[error("track {0} has sent a chunk before its init segment")]
    InitMissing(TrackNumber),
    /// The first chunk after an init segment has to begin a segment.
    #[error("track {0} has to begin with a key frame after its init segment")]
    KeyMissing(TrackNumber),
    /// A chunk that does not follow the one before it.
    #[error(
        "track {track}: segment {segment}, chunk {chunk} is out of order (a segment begins with chunk 0, flagged key; segment \
         numbers grow; chunk numbers count up by one)"
    )]
    OutOfOrder {
        /// The track.
        track: TrackNumber,
        /// The segment number it carries.
        segment: u32,
        /// The chunk number it carries.
        chunk: u32,
    },
    /// An init segment over [`INIT_BYTES_MAX`].
    #[error("an init segment has at most {INIT_BYTES_MAX} bytes, this one has {0}")]
    InitTooLarge(usize),
    /// A message that does not fit into the window.
    #[error("the message has {0} bytes and does not fit into the window")]
    TooLarge(usize),
}

impl Refusal {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTrack(_) => ErrorCode::UnknownTrack,
            Self::InitMissing(_) | Self::KeyMissing(_) | Self::OutOfOrder { .. } => ErrorCode::WrongOrder,
            Self::InitTooLarge(_) | Self::TooLarge(_) => ErrorCode::TooLarge,
        }
    }
}

/// The newest media of one stream.
#[derive(Debug)]
pub struct Window {
    entries: VecDeque<Entry>,
    /// The sequence number of `entries[0]`, or of the next entry when there is none. Never goes back.
    first: u64,
    /// What all entries and all init segments cost.
    bytes: usize,
    bytes_max: usize,
    /// What all chunks ever taken in cost, for distances.
    bytes_total: u64,
    inits_total: u64,
    tracks: Vec<Track>,
}

/// One chunk.
#[derive(Debug)]
struct Entry {
    header: MediaHeader,
    message: MediaFrame,
    arrived: Instant,
    /// The init segment it belongs to.
    init: u64,
    /// Counts the chunks of its track.
    ordinal: u64,
    /// [`Window::bytes_total`] before it.
    offset: u64,
}

impl Entry {
    /// What a chunk costs: its message, and the entry itself, which counts when chunks are tiny.
    const fn cost(message_bytes: usize) -> usize {
        message_bytes + size_of::<Self>()
    }
}

#[derive(Debug)]
struct Track {
    number: TrackNumber,
    kind: TrackKind,
    init: Option<Init>,
    /// An init segment of another relay that counts from the next key frame on.
    init_to_come: Option<Bytes>,
    /// The sequence number of the newest key frame that is still held and belongs to the init segment.
    newest_key: Option<u64>,
    order: Order,
    /// The ordinal of the next chunk.
    ordinal_next: u64,
}

#[derive(Debug)]
struct Init {
    id: u64,
    message: MediaFrame,
}

impl Window {
    /// An empty window that holds at most `bytes_max` bytes of media messages.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            bytes_max,
            bytes_total: 0,
            inits_total: 0,
            tracks: Vec::new(),
        }
    }

    /// A publisher begins with other tracks than before: everything held is dropped. Cursors made before are to be made anew.
    pub fn begin(&mut self, tracks: &[TrackInfo]) {
        self.first = self.end();
        self.entries.clear();
        self.bytes = 0;
        self.tracks = tracks
            .iter()
            .map(|info| Track {
                number: info.track,
                kind: info.kind,
                init: None,
                init_to_come: None,
                newest_key: None,
                order: Order::default(),
                ordinal_next: 0,
            })
            .collect();
    }

    /// A publisher begins again with the same tracks: what is held stays joinable until each track's new init segment.
    pub fn begin_again(&mut self) {
        for track in &mut self.tracks {
            track.order = Order::default();
            track.init_to_come = None;
        }
    }

    /// Takes a media message in that has come at `arrived`, and drops the oldest ones that no longer fit.
    ///
    /// # Errors
    /// When the message is out of order, of an unknown track, or too large; the window is as before then.
    pub fn push(&mut self, header: &MediaHeader, message: Bytes, arrived: Instant) -> Result<(), Refusal> {
        match header.kind {
            MediaKind::Init => self.push_init(header, message),
            MediaKind::Chunk => self.push_chunk(header, message, arrived),
        }
    }

    fn push_init(&mut self, header: &MediaHeader, message: Bytes) -> Result<(), Refusal> {
        if message.len() > INIT_BYTES_MAX {
            return Err(Refusal::InitTooLarge(message.len()));
        }
        let track = self.track(header.track).ok_or(Refusal::UnknownTrack(header.track))?;
        let replaced = track.init.as_ref().map_or(0, |init| init.message.message_len());
        if self.init_bytes() - replaced + message.len() > self.bytes_max {
            return Err(Refusal::TooLarge(message.len()));
        }
        self.bytes -= replaced;
        self.make_room_for(message.len());
        self.bytes += message.len();
        self.inits_total += 1;
        let id = self.inits_total;
        let message = MediaFrame::of(&message);
        if let Some(track) = self.track_mut(header.track) {
            track.init = Some(Init { id, message });
            track.newest_key = None;
            track.order.init();
        }
        Ok(())
    }

    fn push_chunk(&mut self, header: &MediaHeader, message: Bytes, arrived: Instant) -> Result<(), Refusal> {
        let cost = Entry::cost(message.len());
        let fits = self.init_bytes() + cost <= self.bytes_max;
        let (sequence, offset) = (self.end(), self.bytes_total);
        let track = self.track_mut(header.track).ok_or(Refusal::UnknownTrack(header.track))?;
        let Some(init) = &track.init else { return Err(Refusal::InitMissing(header.track)) };
        let init = init.id;
        let order = track.order.after(header)?;
        if !fits {
            return Err(Refusal::TooLarge(message.len()));
        }
        track.order = order;
        let ordinal = track.ordinal_next;
        track.ordinal_next += 1;
        self.make_room_for(cost);
        self.bytes += cost;
        self.bytes_total += cost as u64;
        let message = MediaFrame::of(&message);
        self.entries.push_back(Entry { header: *header, message, arrived, init, ordinal, offset });
        if header.key
            && let Some(track) = self.track_mut(header.track)
        {
            track.newest_key = Some(sequence);
        }
        Ok(())
    }

    fn make_room_for(&mut self, len: usize) {
        while self.bytes + len > self.bytes_max {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= Entry::cost(oldest.message.message_len());
            let sequence = self.first;
            self.first += 1;
            if let Some(track) = self.track_mut(oldest.header.track)
                && track.newest_key == Some(sequence)
            {
                track.newest_key = None;
            }
        }
    }

    /// A cursor for a new viewer: the first track of each kind, each from its newest key frame on.
    #[must_use]
    pub fn join(&self) -> Cursor {
        let first_of = |kind| self.tracks.iter().find(|track| track.kind == kind).map(|track| track.number);
        let selected = [TrackKind::Video, TrackKind::Sound].into_iter().filter_map(first_of);
        Cursor::at_newest_keys(self, selected)
    }

    /// A cursor for a relay that serves viewers of its own: every track.
    #[must_use]
    pub fn join_all(&self) -> Cursor {
        Cursor::at_newest_keys(self, self.tracks.iter().map(|track| track.number))
    }

    /// What the viewer at `cursor` gets next; `None`: nothing before more media has arrived.
    pub fn next(&self, cursor: &mut Cursor) -> Option<Delivery> {
        cursor.next(self)
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, sequence: u64) -> Option<&Entry> {
        let index = sequence.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    fn track(&self, number: TrackNumber) -> Option<&Track> {
        self.tracks.iter().find(|track| track.number == number)
    }

    fn track_mut(&mut self, number: TrackNumber) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.number == number)
    }

    fn init_bytes(&self) -> usize {
        self.tracks.iter().filter_map(|track| track.init.as_ref()).map(|init| init.message.message_len()).sum()
    }

    /// Whether somebody who needs `sequence` next is further behind the newest chunk than a live viewer may be.
    fn is_far_behind(&self, sequence: u64) -> bool {
        let (Some(needed), Some(newest)) = (self.entry(sequence), self.entries.back()) else { return false };
        let behind_us = newest.header.captured_at_us.saturating_sub(needed.header.captured_at_us);
        let behind_bytes = self.bytes_total - needed.offset;
        u128::from(behind_us) > VIEWER_BEHIND_TIME_MAX.as_micros() || behind_bytes > self.bytes_max as u64 / 2
    }
}

#[cfg(test)]
mod tests;
