//! The broadcaster's half.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use thiserror::Error;

use super::{ContentKey, SALT_BYTES, TAG_BYTES, track_key::TrackKey};
use crate::{MediaHeader, MediaKind, StreamId, TrackNumber, media_message::MEDIA_HEADER_BYTES};

/// Why a message can't be sealed. The stream must end then: to go on unsealed, or with a nonce used twice, would betray it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The system has no randomness to give.
    #[error("the system has no random numbers to encrypt with")]
    NoRandomness,
    /// A chunk of a track that has no init segment yet.
    #[error("track {0} has no init segment to encrypt under")]
    InitMissing(TrackNumber),
    /// A number or a capture time that does not grow.
    #[error("the numbers of track {0} went back, which encryption must not allow")]
    WrongOrder(TrackNumber),
    /// More bytes than the cipher takes at once.
    #[error("a message of track {0} is too large to encrypt")]
    TooLarge(TrackNumber),
}

/// Seals one stream. It must see every message of the stream once, in the order of their making; what is sent again is sent as
/// the bytes it gave.
#[derive(Debug)]
pub struct Sealer {
    key: ContentKey,
    stream: StreamId,
    tracks: BTreeMap<TrackNumber, SealingTrack>,
}

#[derive(Debug)]
struct SealingTrack {
    key: TrackKey,
    init_captured_at_us: u64,
    last: Option<(u32, u32)>,
}

impl Sealer {
    /// A sealer of a stream that begins.
    #[must_use]
    pub const fn new(key: ContentKey, stream: StreamId) -> Self {
        Self { key, stream, tracks: BTreeMap::new() }
    }

    /// The whole sealed message of `header` and `payload`; its header has the sealed flag. An init segment gives its track a new
    /// key and must be captured after the one before; a chunk's numbers must be greater than all before of its track.
    ///
    /// # Errors
    /// When a nonce would repeat, there is no key yet, or the system has no randomness.
    pub fn seal(&mut self, header: MediaHeader, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let header = MediaHeader { sealed: true, ..header };
        match header.kind {
            MediaKind::Init => {
                let mut salt = [0; SALT_BYTES];
                rand::fill(&mut salt).map_err(|_| SealError::NoRandomness)?;
                self.init(header, payload, &salt)
            }
            MediaKind::Chunk => self.chunk(header, payload),
        }
    }

    /// Like [`Self::seal`] for an init segment, with a salt that is given.
    pub(super) fn init(
        &mut self,
        header: MediaHeader,
        payload: &[u8],
        salt: &[u8; SALT_BYTES],
    ) -> Result<Vec<u8>, SealError> {
        let track = header.track;
        let before = self.tracks.get(&track);
        if before.is_some_and(|before| header.captured_at_us <= before.init_captured_at_us) {
            return Err(SealError::WrongOrder(track));
        }
        let last = before.and_then(|before| before.last);
        // Deriving a key of the cipher's own length does not fail.
        let key = TrackKey::derive(&self.key, &self.stream, track, salt).map_err(|_| SealError::TooLarge(track))?;
        let message = sealed(&key, header, salt, payload)?;
        self.tracks.insert(track, SealingTrack { key, init_captured_at_us: header.captured_at_us, last });
        Ok(message)
    }

    fn chunk(&mut self, header: MediaHeader, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let track = self.tracks.get_mut(&header.track).ok_or(SealError::InitMissing(header.track))?;
        let number = (header.segment, header.chunk);
        if track.last.is_some_and(|last| number <= last) {
            return Err(SealError::WrongOrder(header.track));
        }
        track.last = Some(number); // before anything can fail: a number that was tried is not tried again
        sealed(&track.key, header, &[], payload)
    }
}

fn sealed(key: &TrackKey, header: MediaHeader, salt: &[u8], payload: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut message = Vec::with_capacity(MEDIA_HEADER_BYTES + salt.len() + payload.len() + TAG_BYTES);
    let header_bytes = header.encode();
    message.extend_from_slice(&header_bytes);
    message.extend_from_slice(salt);
    message.extend_from_slice(payload);
    let payload = &mut message[MEDIA_HEADER_BYTES + salt.len()..];
    let tag = key.seal(&header, &header_bytes, payload).map_err(|_| SealError::TooLarge(header.track))?;
    message.extend_from_slice(tag.as_ref());
    Ok(message)
}
