//! The screen of an X11 session, grabbed by ffmpeg itself: its frames never pass through this process.

use std::ffi::OsString;

use x11rb::connection::Connection as _;

use super::{Source, SourceError, Stamps, Take};
use crate::{ffmpeg::encoder::scale, options::Quality};

/// Still frames are left out, but at least this many per second are sent: players take longer gaps for a stall.
const STILL_FRAMES_PER_SECOND: u32 = 3;

/// The whole screen of the display that `DISPLAY` names.
#[derive(Debug)]
pub(crate) struct X11Screen {
    display: String,
    size: (u32, u32),
    quality: Quality,
}

impl X11Screen {
    /// Asks the display for its size, which also tells whether it lets us in.
    pub(crate) async fn open(quality: Quality) -> Result<Self, SourceError> {
        let display = std::env::var("DISPLAY").ok().filter(|display| !display.is_empty());
        let display = display.ok_or(SourceError::NoDisplay)?;
        let asked = display.clone();
        let size =
            tokio::task::spawn_blocking(move || size(&asked)).await.unwrap_or_else(|error| Err(error.to_string()));
        let size = size.map_err(|reason| SourceError::DisplayRefused { display: display.clone(), reason })?;
        Ok(Self { display, size, quality })
    }

    /// Width and height in pixels.
    pub(crate) const fn size(&self) -> (u32, u32) {
        self.size
    }
}

fn size(display: &str) -> Result<(u32, u32), String> {
    let (connection, screen) = x11rb::connect(Some(display)).map_err(|error| error.to_string())?;
    let root = connection.setup().roots.get(screen).ok_or("it has no screen")?;
    Ok((root.width_in_pixels.into(), root.height_in_pixels.into()))
}

impl Source for X11Screen {
    fn input(&self, take: Take) -> Vec<OsString> {
        let rate = take.frame_rate(self.quality.frame_rate()).to_string();
        // Without `-video_size` it is the whole screen; without probing the first frame goes out at once.
        let grab = ["-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0", "-f", "x11grab"];
        let mut arguments: Vec<OsString> = grab.map(Into::into).to_vec();
        arguments.extend(["-framerate", &rate, "-draw_mouse", "1", "-copyts", "-i", &self.display].map(Into::into));
        arguments
    }

    fn filters(&self, take: Take) -> String {
        let dropped_max = take.frame_rate(self.quality.frame_rate()) / STILL_FRAMES_PER_SECOND - 1;
        format!("{},mpdecimate=max={dropped_max}:hi=0:lo=0:frac=0", scale(self.quality.size_max()))
    }

    fn stamps(&self) -> Stamps {
        Stamps::WallClock
    }

    fn is_live(&self) -> bool {
        true
    }

    fn failure(&self, complaint: String) -> SourceError {
        if complaint.contains("open display") || complaint.contains("Input/output error") {
            return SourceError::DisplayRefused { display: self.display.clone(), reason: complaint };
        }
        SourceError::EncoderFailed { reason: complaint }
    }
}
