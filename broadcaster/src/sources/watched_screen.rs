//! The screen of an X11 session, taken when it changes: what has been painted is fetched, turned into the encoder's form and shown to it
//! at once, and a still screen costs next to nothing.

mod area;
mod canvas;
mod display;
mod pointer;
mod rhythm;
mod watcher;

use std::ffi::OsString;

use super::{
    Source, SourceError, Stamps, Take,
    raw_frames::{self, RawFrames},
};
use crate::options::Quality;
use display::{Display, DisplayError};
use watcher::Watcher;

/// A screen that is watched.
#[derive(Debug)]
pub(crate) struct WatchedScreen {
    display: String,
    frames: RawFrames,
    quality: Quality,
}

impl WatchedScreen {
    /// Starts to watch the display that `DISPLAY` names; `None` when it can't be watched.
    pub(crate) async fn open(quality: Quality) -> Option<Self> {
        let display = std::env::var("DISPLAY").ok()?;
        let name = display.clone();
        let started = tokio::task::spawn_blocking(move || start(&name, quality.frame_rate())).await.ok()?;
        match started {
            Ok(frames) => Some(Self { display, frames, quality }),
            Err(error) => {
                tracing::info!(%error, "the display can't be watched");
                None
            }
        }
    }
}

fn start(display: &str, frame_rate: u32) -> Result<RawFrames, DisplayError> {
    let (watcher, frames) = Watcher::start(Display::open(display)?, frame_rate)?;
    let watch = move || {
        if let Err(error) = watcher.run() {
            tracing::info!(%error, "the display is not watched any more");
        }
    };
    std::thread::Builder::new().name("screen".to_owned()).spawn(watch)?;
    Ok(frames)
}

impl Source for WatchedScreen {
    fn input(&self, take: Take) -> Vec<OsString> {
        raw_frames::input(&self.frames, take.frame_rate(self.quality.frame_rate()))
    }

    fn filters(&self, _take: Take) -> String {
        raw_frames::filters(&self.frames, self.quality.size_max())
    }

    fn stamps(&self) -> Stamps {
        Stamps::WallClock
    }

    fn is_live(&self) -> bool {
        true
    }

    fn is_gone(&self) -> bool {
        self.frames.has_changed().is_err()
    }

    fn frames(&self) -> Option<RawFrames> {
        Some(self.frames.clone())
    }

    fn failure(&self, complaint: String) -> SourceError {
        if self.is_gone() {
            let reason = "it is gone".to_owned();
            return SourceError::DisplayRefused { display: self.display.clone(), reason };
        }
        SourceError::EncoderFailed { reason: complaint }
    }
}
