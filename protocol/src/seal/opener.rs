//! The viewer's half.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ContentKey, SALT_BYTES, track_key::TrackKey};
use crate::{
    MediaHeader, MediaKind, StreamId, TrackNumber,
    limits::TRACKS_MAX,
    media_message::{InvalidMediaMessage, MEDIA_HEADER_BYTES},
};

/// What became of a message that nobody has tampered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'m> {
    /// It is what the broadcaster made, and it may be shown.
    Payload(MediaHeader, &'m [u8]),
    /// It is of no use: its segment is broken, its init segment is not known, or it came again with a new connection.
    LeftOut,
}

/// Why a message was dropped. All but [`Refused::Malformed`] mean that somebody between broadcaster and viewer changed or lost
/// something, or that the viewer's key is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// Not a media message.
    #[error(transparent)]
    Malformed(#[from] InvalidMediaMessage),
    /// A payload that is not sealed.
    #[error("the payload is not encrypted")]
    Unsealed,
    /// The tag does not fit: something was changed, or the key is another.
    #[error("the payload was changed, or the key is wrong")]
    Failed,
    /// An init segment older than the one that is known.
    #[error("the init segment is an older one")]
    Stale,
    /// A chunk that was seen before.
    #[error("the chunk was seen before")]
    Replayed,
    /// A chunk that does not follow the last one.
    #[error("a chunk is missing")]
    Hole,
    /// More tracks than a stream has.
    #[error("a stream has at most {TRACKS_MAX} tracks")]
    TooManyTracks,
}

/// Opens one stream for one viewer, over all of its connections.
#[derive(Debug)]
pub struct Opener {
    key: ContentKey,
    stream: StreamId,
    tracks: BTreeMap<TrackNumber, OpeningTrack>,
    tampered: u64,
}

#[derive(Debug)]
struct OpeningTrack {
    key: TrackKey,
    salt: [u8; SALT_BYTES],
    init_captured_at_us: u64,
    /// The last chunk that was opened.
    last: Option<(u32, u32)>,
    /// Nothing but a key chunk can be shown.
    needs_key: bool,
    /// The init segment came again: what is known already may come again behind it.
    repeats: bool,
}

impl Opener {
    /// An opener for a viewer who has `key` in the link to `stream`.
    #[must_use]
    pub const fn new(key: ContentKey, stream: StreamId) -> Self {
        Self { key, stream, tracks: BTreeMap::new(), tampered: 0 }
    }

    /// How many messages were refused so far.
    #[must_use]
    pub const fn tampered(&self) -> u64 {
        self.tampered
    }

    /// Opens a message where it is. After a chunk was refused, its track goes on with the next key chunk.
    ///
    /// # Errors
    /// When the message must not be shown.
    pub fn open<'m>(&mut self, message: &'m mut [u8]) -> Result<Opened<'m>, Refused> {
        let (header, _) = MediaHeader::decode(message)?;
        let (header_bytes, sealed) = message.split_at_mut(MEDIA_HEADER_BYTES);
        let opened = match header {
            MediaHeader { sealed: false, .. } => Err(Refused::Unsealed),
            MediaHeader { kind: MediaKind::Init, .. } => self.init(header, header_bytes, sealed),
            MediaHeader { kind: MediaKind::Chunk, .. } => self.chunk(header, header_bytes, sealed),
        };
        self.tampered += u64::from(opened.is_err());
        opened
    }

    fn init<'m>(
        &mut self,
        header: MediaHeader,
        header_bytes: &[u8],
        sealed: &'m mut [u8],
    ) -> Result<Opened<'m>, Refused> {
        let (salt, sealed) = sealed.split_first_chunk_mut::<SALT_BYTES>().ok_or(Refused::Failed)?;
        let full = self.tracks.len() >= TRACKS_MAX;
        match self.tracks.get_mut(&header.track) {
            Some(known) if known.salt == *salt => {
                let payload = known.key.open(&header, header_bytes, sealed).map_err(|_| Refused::Failed)?;
                known.repeats = true;
                return Ok(Opened::Payload(header, payload));
            }
            Some(known) if header.captured_at_us <= known.init_captured_at_us => return Err(Refused::Stale),
            Some(_) => {}
            None if full => return Err(Refused::TooManyTracks),
            None => {}
        }
        let key = TrackKey::derive(&self.key, &self.stream, header.track, salt).map_err(|_| Refused::Failed)?;
        let payload = key.open(&header, header_bytes, sealed).map_err(|_| Refused::Failed)?;
        let init_captured_at_us = header.captured_at_us;
        let track = OpeningTrack { key, salt: *salt, init_captured_at_us, last: None, needs_key: true, repeats: false };
        self.tracks.insert(header.track, track);
        Ok(Opened::Payload(header, payload))
    }

    fn chunk<'m>(
        &mut self,
        header: MediaHeader,
        header_bytes: &[u8],
        sealed: &'m mut [u8],
    ) -> Result<Opened<'m>, Refused> {
        let Some(track) = self.tracks.get_mut(&header.track) else { return Ok(Opened::LeftOut) };
        let number = (header.segment, header.chunk);
        if track.last.is_some_and(|last| number <= last) {
            return if track.repeats { Ok(Opened::LeftOut) } else { Err(Refused::Replayed) };
        }
        if !header.key {
            if track.needs_key {
                return Ok(Opened::LeftOut);
            }
            let next = track.last.and_then(|(segment, chunk)| Some((segment, chunk.checked_add(1)?)));
            if next != Some(number) {
                track.needs_key = true;
                return Err(Refused::Hole);
            }
        }
        match track.key.open(&header, header_bytes, sealed) {
            Ok(payload) => {
                (track.last, track.needs_key, track.repeats) = (Some(number), false, false);
                Ok(Opened::Payload(header, payload))
            }
            Err(_) => {
                track.needs_key = true;
                Err(Refused::Failed)
            }
        }
    }
}
