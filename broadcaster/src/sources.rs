//! Where pictures come from, and what this machine offers of it.

use std::path::Path;

use serde::Serialize;
use thiserror::Error;
use ts_rs::TS;

use crate::options::SourceChoice;

/// Why there is no picture or no sound. Its text is a sentence for people that says the way out.
#[derive(Debug, Clone, Error)]
pub enum SourceError {
    /// Not there yet.
    #[error("not built yet")]
    NotBuilt,
}

/// One thing that can be shown on this machine, or the reason why it can't.
#[derive(Debug, Clone, Serialize, TS)]
#[ts(export)]
pub struct SourceInfo {
    /// What to pass on as the choice.
    pub choice: SourceChoice,
    /// Its name for people.
    pub label: String,
    /// Width in pixels; 0 when only the portal's dialog decides.
    pub width: u32,
    /// Height in pixels; 0 when only the portal's dialog decides.
    pub height: u32,
    /// Why it can't be used now; `None` when it can.
    pub unavailable: Option<String>,
    /// Whether [`preview`] can show it (the portal would ask first).
    pub preview: bool,
}

/// What this machine offers, best first.
pub async fn list() -> Vec<SourceInfo> {
    Vec::new()
}

/// One small picture (about 480 pixels wide, JPEG) of what `choice` shows now.
///
/// # Errors
/// When the source or ffmpeg is not there, or the source can't be shown without asking.
pub async fn preview(choice: &SourceChoice, ffmpeg: &Path) -> Result<Vec<u8>, SourceError> {
    let _ = (choice, ffmpeg);
    Err(SourceError::NotBuilt)
}
