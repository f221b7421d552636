//! A capture that runs, whose frames pass through this process.

use std::ffi::OsString;

use tokio::process::Child;

use super::{Source, SourceError, Stamps, Take, raw_frames::RawFrames};
use crate::{
    capture_helper::{FrameHeader, PixelFormat},
    ffmpeg::encoder::{scale, scale_converted},
    options::Quality,
};

/// It runs for as long as this, unless it ends by itself.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(super) frames: RawFrames,
    pub(super) quality: Quality,
    /// What its end stands for.
    pub(super) end: SourceError,
    /// The process that captures, if that is another one: held for its standard input, whose end ends it, and for its death with this.
    pub(super) _helper: Option<Child>,
}

impl Source for Capture {
    fn input(&self, take: Take) -> Vec<OsString> {
        let FrameHeader { format, width, height } = self.frames.borrow().header;
        let size = format!("{width}x{height}");
        let raw = ["-f", "rawvideo", "-pixel_format", format.name(), "-video_size", &size];
        let mut arguments: Vec<OsString> =
            ["-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0"].map(Into::into).to_vec();
        arguments.extend(raw.map(Into::into));
        if format == PixelFormat::Yuv420p {
            arguments.extend(["-color_range", "tv", "-colorspace", "bt709"].map(Into::into));
        }
        let frame_rate = take.frame_rate(self.quality.frame_rate()).to_string();
        arguments.extend(["-framerate", &frame_rate, "-i", "pipe:0"].map(Into::into));
        arguments
    }

    /// Frames are stamped when they arrive.
    fn filters(&self, _take: Take) -> String {
        let FrameHeader { format, width, height } = self.frames.borrow().header;
        let size_max = self.quality.size_max();
        let is_small = size_max.is_none_or(|(width_max, height_max)| width <= width_max && height <= height_max);
        let scale = match format {
            PixelFormat::Yuv420p if is_small => "null".to_owned(),
            PixelFormat::Yuv420p => scale_converted(size_max),
            _ => scale(size_max),
        };
        format!("settb=1/1000,setpts=RTCTIME/1000,{scale}")
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
        if self.is_gone() { self.end.clone() } else { SourceError::EncoderFailed { reason: complaint } }
    }
}
