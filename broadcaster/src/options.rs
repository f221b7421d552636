//! What a person chooses before going live.

use std::{path::PathBuf, str::FromStr};

use protocol::{Secret, http::Visibility};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use ts_rs::TS;
use url::Url;

use crate::{authorities::Authorities, transport::TransportChoice};

/// Everything a broadcast needs to know.
#[derive(Debug, Clone)]
pub struct BroadcastOptions {
    /// The directory's base address, `http://host:port`.
    pub directory: Url,
    /// Whose certificates are trusted over https and wss.
    pub authorities: Authorities,
    /// What lets one go live at a directory that asks for a pass.
    pub pass: Option<Secret>,
    /// What the stream is called.
    pub title: String,
    /// Who finds it.
    pub visibility: Visibility,
    /// What viewers must know, where the visibility is [`Visibility::Password`].
    pub password: Option<Secret>,
    /// Whether payloads are end-to-end encrypted, with a key that only the watch link holds.
    pub encrypt: bool,
    /// The picture.
    pub source: SourceChoice,
    /// The sound.
    pub sound: SoundChoice,
    /// Picture size and frame rate.
    pub quality: Quality,
    /// The most bits the picture takes, in kbit/s; `None` for what fits the quality. It takes fewer while the connection is slow.
    pub bitrate_kbit_s: Option<u32>,
    /// Whether a second, smaller picture is sent as well, for viewers on slow connections.
    pub small_picture: bool,
    /// What the stream travels by.
    pub transport: TransportChoice,
    /// The ffmpeg command: a path, or a name that is looked up in `PATH`.
    pub ffmpeg: PathBuf,
}

/// Where the picture comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export)]
pub enum SourceChoice {
    /// The screen, by whatever means this session offers.
    Screen,
    /// The screen or window that the desktop portal's dialog lets the person choose (Wayland).
    Portal,
    /// A moving test picture.
    Test,
    /// A media file, played in real time with its sound.
    File {
        /// The file.
        #[ts(type = "string")]
        path: PathBuf,
        /// Start again at its end.
        #[serde(default)]
        repeat: bool,
    },
}

/// Where the sound comes from. A media file brings its own: anything but [`SoundChoice::None`] sends that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum SoundChoice {
    /// No sound.
    #[default]
    None,
    /// What the machine plays.
    System,
    /// The microphone.
    Microphone,
    /// Both, mixed.
    Both,
}

/// Picture size and frame rate. Pictures are never made larger than their source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub enum Quality {
    /// At most 1280x720, 30 frames/s.
    #[default]
    #[serde(rename = "720p30")]
    P720At30,
    /// At most 1280x720, 60 frames/s.
    #[serde(rename = "720p60")]
    P720At60,
    /// At most 1920x1080, 30 frames/s.
    #[serde(rename = "1080p30")]
    P1080At30,
    /// At most 1920x1080, 60 frames/s.
    #[serde(rename = "1080p60")]
    P1080At60,
    /// The source's size, 30 frames/s.
    #[serde(rename = "native")]
    Native,
}

impl Quality {
    /// Every quality, smallest first.
    pub const ALL: [Self; 5] = [Self::P720At30, Self::P720At60, Self::P1080At30, Self::P1080At60, Self::Native];

    /// The word that names it, on the command line and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P720At30 => "720p30",
            Self::P720At60 => "720p60",
            Self::P1080At30 => "1080p30",
            Self::P1080At60 => "1080p60",
            Self::Native => "native",
        }
    }

    /// The largest width and height in pixels; `None` for the source's.
    #[must_use]
    pub const fn size_max(self) -> Option<(u32, u32)> {
        match self {
            Self::P720At30 | Self::P720At60 => Some((1280, 720)),
            Self::P1080At30 | Self::P1080At60 => Some((1920, 1080)),
            Self::Native => None,
        }
    }

    /// The most frames per second.
    #[must_use]
    pub const fn frame_rate(self) -> u32 {
        match self {
            Self::P720At60 | Self::P1080At60 => 60,
            _ => 30,
        }
    }

    /// The most pixels per second; of a screen whose size is not known here, those of a common one.
    pub(crate) const fn pixels_per_second(self) -> u64 {
        let (width, height) = match self.size_max() {
            Some(size) => size,
            None => (1920, 1080),
        };
        width as u64 * height as u64 * self.frame_rate() as u64
    }

    /// The most bits the picture takes when nobody says otherwise, in kbit/s: text stays readable while it scrolls.
    #[must_use]
    pub const fn bitrate_kbit_s(self) -> u32 {
        match self {
            Self::P720At30 => 3_000,
            Self::P720At60 | Self::P1080At30 => 5_000,
            Self::P1080At60 => 8_000,
            Self::Native => 8_000,
        }
    }
}

/// A quality that is none of [`Quality::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the quality is one of 720p30, 720p60, 1080p30, 1080p60 and native")]
pub struct InvalidQuality;

impl FromStr for Quality {
    type Err = InvalidQuality;

    fn from_str(text: &str) -> Result<Self, InvalidQuality> {
        Self::ALL.into_iter().find(|quality| quality.as_str() == text).ok_or(InvalidQuality)
    }
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_has_one_word_everywhere() {
        for quality in Quality::ALL {
            assert_eq!(quality.as_str().parse(), Ok(quality));
            assert_eq!(serde_json::to_value(quality).unwrap(), quality.as_str());
        }
        assert_eq!("4k".parse::<Quality>(), Err(InvalidQuality));
    }
}
