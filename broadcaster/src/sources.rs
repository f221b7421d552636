//! Where pictures come from, and what this machine offers of it.

mod capture;
pub(crate) mod colours;
pub(crate) mod file;
mod portal;
pub(crate) mod raw_frames;
mod screen;
mod test_picture;
#[cfg(target_os = "linux")]
mod watched_screen;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use thiserror::Error;
use ts_rs::TS;

use raw_frames::RawFrames;

use crate::{
    ffmpeg,
    options::{Quality, SourceChoice},
};

/// How long a preview may take.
const PREVIEW_TIME_MAX: Duration = Duration::from_secs(5);

/// Why there is no picture or no sound. Its text is a sentence for people that says the way out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// ffmpeg can't be started.
    #[error("ffmpeg can't be started as '{}' ({reason}); install it, or say where it is", ffmpeg.display())]
    FfmpegMissing {
        /// What was tried.
        ffmpeg: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// None of its encoders works.
    #[error(
        "'{}' has no H.264 encoder that works here; install an ffmpeg with libx264 or libopenh264", ffmpeg.display()
    )]
    NoEncoder {
        /// Which ffmpeg.
        ffmpeg: PathBuf,
    },
    /// Neither an X display nor a Wayland session.
    #[error("there is no display to capture: no DISPLAY and no Wayland session; start this in a desktop session")]
    NoDisplay,
    /// An X display that does not let us in.
    #[error("the display {display} can't be captured ({reason}); check DISPLAY and XAUTHORITY")]
    DisplayRefused {
        /// Which.
        display: String,
        /// ffmpeg's words.
        reason: String,
    },
    /// No portal with screen capture on the session bus.
    #[error(
        "this session has no desktop portal that can capture the screen; install xdg-desktop-portal and the part of \
         it for your desktop, then log in again"
    )]
    PortalMissing,
    /// The person or the system said no.
    #[error("permission to capture the screen was refused or not given in time; go live again and allow it")]
    PermissionRefused,
    /// The capture process ended.
    #[error("capturing the screen failed ({reason})")]
    CaptureFailed {
        /// What is known.
        reason: String,
    },
    /// The media file can't be read.
    #[error("the file '{}' can't be read ({reason})", path.display())]
    FileMissing {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The media file has no picture or sound that ffmpeg understands.
    #[error("the file '{}' can't be played ({reason})", path.display())]
    FileUnreadable {
        /// Which.
        path: PathBuf,
        /// ffmpeg's words.
        reason: String,
    },
    /// Nobody answers as a sound server.
    #[error("there is no sound to capture: no PulseAudio or PipeWire server answers ({reason}); go live without sound")]
    NoSoundServer {
        /// ffmpeg's words.
        reason: String,
    },
    /// A second, smaller picture can't be sent from this system.
    #[error("a second, smaller picture can be sent from Linux and macOS only, as yet; go live without it")]
    SmallPictureUnsupported,
    /// Sound can't be captured on this system.
    #[error("sound can be captured on Linux only, as yet; go live without sound")]
    SoundUnsupported,
    /// The encoder ended.
    #[error("the encoder failed ({reason})")]
    EncoderFailed {
        /// ffmpeg's words.
        reason: String,
    },
    /// A source that can't be shown before going live.
    #[error("this source can't be shown before going live, because the system asks for permission each time")]
    NoPreview,
}

/// One thing that can be shown on this machine, or the reason why it can't.
#[derive(Debug, Clone, Serialize, TS)]
#[ts(export)]
pub struct SourceInfo {
    /// What to pass on as the choice.
    pub choice: SourceChoice,
    /// Its name for people.
    pub label: String,
    /// Width in pixels; 0 when it is not known before capturing.
    pub width: u32,
    /// Height in pixels; 0 when it is not known before capturing.
    pub height: u32,
    /// Why it can't be used now; `None` when it can.
    pub unavailable: Option<String>,
    /// Whether [`preview`] can show it (the portal would ask first).
    pub preview: bool,
}

/// How a source stamps its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// With this machine's clock, at their capture.
    WallClock,
    /// With their place in the file.
    Media,
}

/// How a source is taken by one encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Take {
    /// Every other frame only.
    pub(crate) halves_frames: bool,
    /// From this place of the file on; a source that is live has none.
    pub(crate) from: Option<Duration>,
}

impl Take {
    /// Frames per second of a source that has `frame_rate` as a whole.
    pub(crate) const fn frame_rate(self, frame_rate: u32) -> u32 {
        if self.halves_frames { frame_rate / 2 } else { frame_rate }
    }
}

/// A source of pictures. `Debug` names it in logs.
pub(crate) trait Source: std::fmt::Debug + Send + Sync {
    /// ffmpeg's arguments up to and with the input.
    fn input(&self, take: Take) -> Vec<OsString>;

    /// ffmpeg's filters, ending in frames of at most the quality's size.
    fn filters(&self, take: Take) -> String;

    /// How frames are stamped.
    fn stamps(&self) -> Stamps;

    /// Whether a second encoder that is started beside the first shows the same by itself; else it is told from where on.
    fn is_live(&self) -> bool;

    /// Whether it is over for good, and has to be opened anew.
    fn is_gone(&self) -> bool {
        false
    }

    /// Frames for ffmpeg's standard input, when it does not fetch them itself.
    fn frames(&self) -> Option<RawFrames> {
        None
    }

    /// The error that ffmpeg's complaint stands for.
    fn failure(&self, complaint: String) -> SourceError {
        SourceError::EncoderFailed { reason: complaint }
    }
}

/// The source that was chosen, checked as far as that is possible without starting it.
pub(crate) async fn open(choice: &SourceChoice, quality: Quality) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match choice {
        SourceChoice::Screen => match screen_means().await? {
            ScreenMeans::Portal => Arc::new(portal::open(quality).await?),
            ScreenMeans::X11 => open_x11(quality).await?,
        },
        SourceChoice::Portal => Arc::new(portal::open(quality).await?),
        SourceChoice::Test => Arc::new(test_picture::TestPicture::new(quality)),
        SourceChoice::File { path, .. } => Arc::new(file::MediaFile::open(path, quality)?),
    })
}

/// The screen of an X11 session: watched where that is possible, else grabbed again and again.
async fn open_x11(quality: Quality) -> Result<Arc<dyn Source>, SourceError> {
    #[cfg(target_os = "linux")]
    if let Some(screen) = watched_screen::open(quality).await {
        return Ok(Arc::new(screen));
    }
    Ok(Arc::new(screen::X11Screen::open(quality).await?))
}

/// By what means this session's screen is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScreenMeans {
    Portal,
    X11,
}

async fn screen_means() -> Result<ScreenMeans, SourceError> {
    if !cfg!(target_os = "linux") {
        return Ok(ScreenMeans::Portal);
    }
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let wayland = std::env::var("XDG_SESSION_TYPE").is_ok_and(|kind| kind == "wayland") || set("WAYLAND_DISPLAY");
    if wayland && portal::is_there().await {
        return Ok(ScreenMeans::Portal);
    }
    match (set("DISPLAY"), wayland) {
        (true, _) => Ok(ScreenMeans::X11),
        (false, true) => Err(SourceError::PortalMissing),
        (false, false) => Err(SourceError::NoDisplay),
    }
}

/// What this machine offers, best first: the screen, the portal's dialog where there is one, and the test picture.
pub async fn list() -> Vec<SourceInfo> {
    let mut sources = vec![screen_info().await];
    let portal_is_extra = !matches!(screen_means().await, Ok(ScreenMeans::Portal));
    if cfg!(target_os = "linux") && portal_is_extra && portal::is_there().await {
        sources.push(info(SourceChoice::Portal, "Screen or window, chosen in a dialog"));
    }
    let (width, height) = Quality::default().size_max().unwrap_or_default();
    let test = info(SourceChoice::Test, "Moving test picture");
    sources.push(SourceInfo { width, height, preview: true, ..test });
    sources
}

fn info(choice: SourceChoice, label: &str) -> SourceInfo {
    SourceInfo { choice, label: label.to_owned(), width: 0, height: 0, unavailable: None, preview: false }
}

async fn screen_info() -> SourceInfo {
    let whole = info(SourceChoice::Screen, "Entire screen");
    let size = match screen_means().await {
        Ok(ScreenMeans::Portal) => return info(SourceChoice::Screen, "Screen or window, chosen in a dialog"),
        Ok(ScreenMeans::X11) => screen::X11Screen::open(Quality::Native).await.map(|screen| screen.size()),
        Err(error) => Err(error),
    };
    match size {
        Ok((width, height)) => SourceInfo { width, height, preview: true, ..whole },
        Err(error) => SourceInfo { unavailable: Some(error.to_string()), ..whole },
    }
}

/// One small picture (about 480 pixels wide, JPEG) of what `choice` shows now.
///
/// # Errors
/// When the source or ffmpeg is not there, or the source can't be shown without asking.
pub async fn preview(choice: &SourceChoice, ffmpeg: &Path) -> Result<Vec<u8>, SourceError> {
    let asks = match choice {
        SourceChoice::Portal => true,
        SourceChoice::Screen => screen_means().await? == ScreenMeans::Portal,
        SourceChoice::Test | SourceChoice::File { .. } => false,
    };
    if asks {
        return Err(SourceError::NoPreview);
    }
    let source: Arc<dyn Source> = match choice {
        SourceChoice::Screen => Arc::new(screen::X11Screen::open(Quality::Native).await?),
        _ => open(choice, Quality::Native).await?,
    };
    let mut arguments = source.input(Take::default());
    let rest = ["-frames:v", "1", "-vf", "scale=480:-2", "-c:v", "mjpeg", "-q:v", "5", "-f", "image2pipe", "pipe:1"];
    arguments.extend(rest.map(Into::into));
    let picture = ffmpeg::run(ffmpeg, &arguments, PREVIEW_TIME_MAX).await?;
    picture.map(|bytes| bytes.to_vec()).map_err(|complaint| source.failure(complaint))
}
