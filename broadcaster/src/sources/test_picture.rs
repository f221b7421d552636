//! A moving test picture that needs no screen.

use std::ffi::OsString;

use super::{Source, Stamps, Take};
use crate::{ffmpeg::encoder::scale, options::Quality};

/// ffmpeg's `testsrc2`, in real time.
#[derive(Debug)]
pub(crate) struct TestPicture {
    quality: Quality,
}

impl TestPicture {
    pub(crate) const fn new(quality: Quality) -> Self {
        Self { quality }
    }
}

impl Source for TestPicture {
    fn input(&self, take: Take) -> Vec<OsString> {
        let (width, height) = self.quality.size_max().unwrap_or((1280, 720));
        let picture = format!("testsrc2=size={width}x{height}:rate={}", take.frame_rate(self.quality.frame_rate()));
        ["-re", "-f", "lavfi", "-i", &picture].map(Into::into).to_vec()
    }

    fn filters(&self, take: Take) -> String {
        // This machine's clock at the start, and then exactly in step: reading in real time delays frames, but loses none.
        let step = format!("settb=1/1000,setpts=RTCSTART/1000+N*1000/{}", take.frame_rate(self.quality.frame_rate()));
        format!("{step},{}", scale(None))
    }

    fn stamps(&self) -> Stamps {
        Stamps::WallClock
    }

    fn is_live(&self) -> bool {
        true
    }
}
