//! The screen of an X11 session, taken when it changes: what has been painted is fetched, turned into the encoder's form and shown to it
//! at once, and a still screen costs next to nothing.

mod area;
mod canvas;
mod display;
mod pointer;
mod rhythm;
mod watcher;

use super::{SourceError, capture::Capture, raw_frames::RawFrames};
use crate::options::Quality;
use display::{Display, DisplayError};
use watcher::Watcher;

/// Starts to watch the display that `DISPLAY` names; `None` when it can't be watched.
pub(crate) async fn open(quality: Quality) -> Option<Capture> {
    let display = std::env::var("DISPLAY").ok()?;
    let name = display.clone();
    let started = tokio::task::spawn_blocking(move || start(&name, quality.frame_rate())).await.ok()?;
    match started {
        Ok(frames) => {
            let end = SourceError::DisplayRefused { display, reason: "it is gone".to_owned() };
            Some(Capture { frames, quality, end, _helper: None })
        }
        Err(error) => {
            tracing::info!(%error, "the display can't be watched");
            None
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
