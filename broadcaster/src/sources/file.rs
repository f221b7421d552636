//! A media file, played in real time.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Source, SourceError, Stamps, Take};
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

/// ffmpeg's arguments to play `path` in real time, stamped with places in the file, from one of them on. A path is never taken for a
/// protocol.
pub(crate) fn play(path: &Path, from: Option<Duration>) -> Vec<OsString> {
    let mut file = OsString::from("file:");
    file.push(path);
    let mut arguments: Vec<OsString> = ["-re", "-copyts", "-start_at_zero"].map(Into::into).to_vec();
    if let Some(from) = from {
        arguments.extend(["-ss".into(), format!("{:.3}", from.as_secs_f64()).into()]);
    }
    arguments.extend(["-i".into(), file]);
    arguments
}

impl Source for MediaFile {
    fn input(&self, take: Take) -> Vec<OsString> {
        play(&self.path, take.from)
    }

    fn filters(&self, take: Take) -> String {
        let halved = if take.halves_frames { "select='not(mod(n,2))'," } else { "" };
        format!("{halved}{}", scale(self.quality.size_max()))
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
