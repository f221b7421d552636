//! The 20-byte header of a binary media message, big endian, in front of one init segment or one chunk (CMAF, ISO/IEC 23000-19).
//!
//! ```text
//! 0      kind: 1 init segment, 2 chunk
//! 1      flags: bit 0 key (first chunk of a segment), bit 1 sealed (payload is end-to-end encrypted)
//! 2-3    track
//! 4-7    segment number
//! 8-11   chunk number within the segment
//! 12-19  capture time, microseconds since the Unix epoch by the directory's clock
//! 20..   payload: ftyp+moov, or one moof+mdat
//! ```
//! `vectors/media_message.json` holds bytes that this and the TypeScript reader both test against.

use thiserror::Error;

use crate::TrackNumber;

/// Bytes before the payload.
pub const MEDIA_HEADER_BYTES: usize = 20;

const FLAG_KEY: u8 = 1;
const FLAG_SEALED: u8 = 2;

/// What the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `ftyp` and `moov` of one track (ISO/IEC 14496-12).
    Init,
    /// One `moof` and `mdat` of one track.
    Chunk,
}

/// What a relay and a player know of a payload without looking into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaHeader {
    /// What the payload is.
    pub kind: MediaKind,
    /// The payload can be decoded without any before it (but its init segment): first chunk of a segment.
    pub key: bool,
    /// The payload is end-to-end encrypted.
    pub sealed: bool,
    /// The track it belongs to.
    pub track: TrackNumber,
    /// Counts the segments of the track; grows, may skip.
    pub segment: u32,
    /// Counts the chunks of the segment from 0.
    pub chunk: u32,
    /// When the frame was captured: microseconds since the Unix epoch by the directory's clock.
    pub captured_at_us: u64,
}

/// Why bytes are not a media message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidMediaMessage {
    /// Shorter than a header.
    #[error("a media message has at least {MEDIA_HEADER_BYTES} bytes, this one has {0}")]
    TooShort(usize),
    /// A kind this version does not know: viewers ignore it, relays refuse it.
    #[error("media messages of kind {0} are not known")]
    UnknownKind(u8),
    /// A header without a payload.
    #[error("the media message has no payload")]
    Empty,
}

impl MediaHeader {
    /// The header of a message, with its payload behind it. Flag bits that have no meaning yet are ignored.
    ///
    /// # Errors
    /// When the message is too short, of an unknown kind, or empty.
    pub fn decode(message: &[u8]) -> Result<(Self, &[u8]), InvalidMediaMessage> {
        let Some((head, payload)) = message.split_first_chunk::<MEDIA_HEADER_BYTES>() else {
            return Err(InvalidMediaMessage::TooShort(message.len()));
        };
        let [kind, flags, t0, t1, s0, s1, s2, s3, c0, c1, c2, c3, at @ ..] = *head;
        let kind = match kind {
            1 => MediaKind::Init,
            2 => MediaKind::Chunk,
            other => return Err(InvalidMediaMessage::UnknownKind(other)),
        };
        if payload.is_empty() {
            return Err(InvalidMediaMessage::Empty);
        }
        let header = Self {
            kind,
            key: flags & FLAG_KEY != 0,
            sealed: flags & FLAG_SEALED != 0,
            track: TrackNumber(u16::from_be_bytes([t0, t1])),
            segment: u32::from_be_bytes([s0, s1, s2, s3]),
            chunk: u32::from_be_bytes([c0, c1, c2, c3]),
            captured_at_us: u64::from_be_bytes(at),
        };
        Ok((header, payload))
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; MEDIA_HEADER_BYTES] {
        let mut bytes = [0; MEDIA_HEADER_BYTES];
        bytes[0] = match self.kind {
            MediaKind::Init => 1,
            MediaKind::Chunk => 2,
        };
        bytes[1] = if self.key { FLAG_KEY } else { 0 } | if self.sealed { FLAG_SEALED } else { 0 };
        bytes[2..4].copy_from_slice(&self.track.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.segment.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.chunk.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.captured_at_us.to_be_bytes());
        bytes
    }

    /// A whole message: this header and `payload`.
    #[must_use]
    pub fn message(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MEDIA_HEADER_BYTES + payload.len());
        bytes.extend_from_slice(&self.encode());
        bytes.extend_from_slice(payload);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../vectors/media_message.json");

    fn header_of(value: &Value) -> MediaHeader {
        let number = |name: &str| value[name].as_u64().unwrap();
        MediaHeader {
            kind: if value["kind"] == "init" { MediaKind::Init } else { MediaKind::Chunk },
            key: value["key"].as_bool().unwrap(),
            sealed: value["sealed"].as_bool().unwrap(),
            track: TrackNumber(number("track").try_into().unwrap()),
            segment: number("segment").try_into().unwrap(),
            chunk: number("chunk").try_into().unwrap(),
            captured_at_us: number("captured_at_us"),
        }
    }

    #[test]
    fn golden_vectors_decode_and_encode() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors["valid"].as_array().unwrap() {
            let bytes = hex::decode(vector["message"].as_str().unwrap()).unwrap();
            let (header, payload) = MediaHeader::decode(&bytes).unwrap();
            assert_eq!(header, header_of(&vector["header"]), "{}", vector["name"]);
            assert_eq!(hex::encode(payload), vector["payload"].as_str().unwrap());
            if vector["reserved_bits"] != true {
                assert_eq!(header.message(payload), bytes, "{}", vector["name"]);
            }
        }
    }

    #[test]
    fn golden_vectors_of_broken_messages_are_refused() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors["invalid"].as_array().unwrap() {
            let bytes = hex::decode(vector["message"].as_str().unwrap()).unwrap();
            let error = match MediaHeader::decode(&bytes).unwrap_err() {
                InvalidMediaMessage::TooShort(_) => "too_short",
                InvalidMediaMessage::UnknownKind(_) => "unknown_kind",
                InvalidMediaMessage::Empty => "empty",
            };
            assert_eq!(error, vector["error"], "{}", vector["name"]);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(init: bool, key: bool, sealed: bool, track: u16, segment: u32, chunk: u32,
                                      captured_at_us: u64, payload in proptest::collection::vec(any::<u8>(), 1..64)) {
            let kind = if init { MediaKind::Init } else { MediaKind::Chunk };
            let header = MediaHeader { kind, key, sealed, track: TrackNumber(track), segment, chunk, captured_at_us };
            let message = header.message(&payload);
            prop_assert_eq!(MediaHeader::decode(&message), Ok((header, payload.as_slice())));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = MediaHeader::decode(&bytes);
        }
    }
}
