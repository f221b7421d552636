//! The order that the media messages of one track keep: an init segment, then segments, each a key frame and what follows it.

use protocol::MediaHeader;

use super::Refusal;

/// What may follow on a track.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Order {
    /// Nothing has come from this publisher: an init segment is needed.
    #[default]
    Init,
    /// The init segment has come: a key frame is needed. `after` is the last segment number before it.
    Key {
        after: Option<u32>,
    },
    Chunk {
        segment: u32,
        chunk: u32,
    },
}

impl Order {
    /// An init segment has come.
    pub(super) fn init(&mut self) {
        let after = match *self {
            Self::Init => None,
            Self::Key { after } => after,
            Self::Chunk { segment, .. } => Some(segment),
        };
        *self = Self::Key { after };
    }

    /// The order after the chunk of `header`, when the chunk is one that may follow.
    pub(super) fn after(self, header: &MediaHeader) -> Result<Self, Refusal> {
        let MediaHeader { track, segment, chunk, key, .. } = *header;
        let begins = key && chunk == 0;
        let fits = match self {
            Self::Init => return Err(Refusal::InitMissing(track)),
            Self::Key { .. } if !key => return Err(Refusal::KeyMissing(track)),
            Self::Key { after } => begins && after.is_none_or(|after| segment > after),
            Self::Chunk { segment: last, chunk: last_chunk } if segment == last => {
                !key && last_chunk.checked_add(1) == Some(chunk)
            }
            Self::Chunk { segment: last, .. } => begins && segment > last,
        };
        if fits { Ok(Self::Chunk { segment, chunk }) } else { Err(Refusal::OutOfOrder { track, segment, chunk }) }
    }

    /// Whether an init segment has come since the publisher came.
    pub(super) const fn has_init(self) -> bool {
        !matches!(self, Self::Init)
    }

    /// The segment of the newest chunk.
    pub(super) const fn segment(self) -> Option<u32> {
        match self {
            Self::Init => None,
            Self::Key { after } => after,
            Self::Chunk { segment, .. } => Some(segment),
        }
    }

    /// Whether a chunk has come since the init segment.
    pub(super) const fn has_begun(self) -> bool {
        matches!(self, Self::Chunk { .. })
    }
}
