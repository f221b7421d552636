//! What a stream is made of: its tracks, as the broadcaster describes them when it registers.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{TrackNumber, limits::CODEC_BYTES_MAX};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum TrackKind {
    /// A picture: a screen or a camera.
    Video,
    /// System sound, a microphone, or both mixed.
    Sound,
}

/// One track of a stream. The relay forwards it as it is and looks at nothing but the number and the kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TrackInfo {
    /// The number that media messages of this track carry.
    pub track: TrackNumber,
    /// What it carries.
    pub kind: TrackKind,
    /// The codec as in a MIME type's `codecs` parameter (RFC 6381), such as `avc1.4D401F` or `opus`.
    pub codec: String,
    /// Picture width in pixels; 0 for sound.
    #[serde(default)]
    pub width: u32,
    /// Picture height in pixels; 0 for sound.
    #[serde(default)]
    pub height: u32,
    /// The most frames per second; 0 for sound.
    #[serde(default)]
    pub frame_rate: f32,
    /// Samples per second; 0 for pictures.
    #[serde(default)]
    pub sample_rate: u32,
    /// Sound channels; 0 for pictures.
    #[serde(default)]
    pub channels: u16,
}

impl TrackInfo {
    /// Whether the description is one that may be shown to viewers.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        !self.codec.is_empty()
            && self.codec.len() <= CODEC_BYTES_MAX
            && self.codec.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            && self.frame_rate.is_finite()
            && self.frame_rate >= 0.0
    }
}
