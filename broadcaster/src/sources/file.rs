//! A media file, played in real time.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Source, SourceError, Stamps};
use crate::{ffmpeg::encoder::scale, options::Quality};

/// A file and how it is played.
#[derive(Debug)]
pub(crate) struct MediaFile {
    path: PathBuf,
    quality: Quality,
}

impl MediaFile {
    pub(crate) fn open(path: &Path, quality: Quality) -> Result<Self, SourceError> {
        let missing = |reason: String| SourceError::FileMissing { path: path.to_owned(), reason };
        let file = std::fs::File::open(path).map_err(|error| missing(error.to_string()))?;
        let kind = file.metadata().map_err(|error| missing(error.to_string()))?;
        if !kind.is_file() {
            return Err(missing("it is not a file".to_owned()));
        }
        Ok(Self { path: path.to_owned(), quality })
    }
}

/// ffmpeg's arguments to play `path` in real time, stamped with places in the file. A path is never taken for a protocol.
pub(crate) fn play(path: &Path) -> Vec<OsString> {
    let mut file = OsString::from("file:");
    file.push(path);
    vec!["-re".into(), "-copyts".into(), "-start_at_zero".into(), "-i".into(), file]
}

impl Source for MediaFile {
    fn input(&self) -> Vec<OsString> {
        play(&self.path)
    }

    fn filters(&self) -> String {
        scale(self.quality.size_max())
    }

    fn stamps(&self) -> Stamps {
        Stamps::Media
    }

    fn is_live(&self) -> bool {
        false
    }

    fn failure(&self, complaint: String) -> SourceError {
        SourceError::FileUnreadable { path: self.path.clone(), reason: complaint }
    }
}
