//! The key of one track, from one init segment to the next.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
};

use super::ContentKey;
use crate::{MediaHeader, MediaKind, StreamId, TrackNumber};

/// Bytes of the salt before a sealed init segment.
pub const SALT_BYTES: usize = 16;

/// Bytes of the tag behind each ciphertext.
pub const TAG_BYTES: usize = 16;

/// What a track key is derived for, so that a content key means nothing to another protocol or version.
const PURPOSE: &[u8] = b"dead-streaming media v1";

/// The AES-256-GCM key of one track under one init segment.
pub(super) struct TrackKey(LessSafeKey);

impl TrackKey {
    pub(super) fn derive(
        key: &ContentKey,
        stream: &StreamId,
        track: TrackNumber,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Self, Unspecified> {
        let track = track.0.to_be_bytes();
        let info = [PURPOSE, stream.as_bytes(), &track];
        let prk = Salt::new(HKDF_SHA256, salt).extract(key.bytes());
        Ok(Self(LessSafeKey::new(UnboundKey::from(prk.expand(&info, &AES_256_GCM)?))))
    }

    /// Encrypts `payload` where it is; the tag goes behind it.
    pub(super) fn seal(
        &self,
        header: &MediaHeader,
        header_bytes: &[u8],
        payload: &mut [u8],
    ) -> Result<Tag, Unspecified> {
        self.0.seal_in_place_separate_tag(nonce(header), Aad::from(header_bytes), payload)
    }

    /// Decrypts ciphertext and tag where they are; the payload is the first part of them.
    pub(super) fn open<'p>(
        &self,
        header: &MediaHeader,
        header_bytes: &[u8],
        sealed: &'p mut [u8],
    ) -> Result<&'p [u8], Unspecified> {
        self.0.open_in_place(nonce(header), Aad::from(header_bytes), sealed).map(|payload| &*payload)
    }
}

impl fmt::Debug for TrackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrackKey(..)")
    }
}

/// Kind, segment and chunk. Never twice under one key: a key seals one init segment, and chunks whose numbers only grow.
pub(super) fn nonce(header: &MediaHeader) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[0] = match header.kind {
        MediaKind::Init => 1,
        MediaKind::Chunk => 2,
    };
    bytes[4..8].copy_from_slice(&header.segment.to_be_bytes());
    bytes[8..].copy_from_slice(&header.chunk.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
