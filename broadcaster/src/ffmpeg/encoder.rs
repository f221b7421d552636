//! Which H.264 encoder works on this machine, found by really encoding, and how each is told to encode without delay.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use protocol::limits::KEY_FRAME_INTERVAL;
use tokio::sync::Mutex;

use super::run;
use crate::sources::SourceError;

/// How long one encoder may take to encode two frames: a graphics driver's first start is slow.
const PROBE_TIME_MAX: Duration = Duration::from_secs(6);

/// Key frames come from [`ENCODER_KEY_FRAMES`] by time; this many frames without one is never reached.
const GROUP_FRAMES_MAX: &str = "9999";

/// The box that a second, smaller picture fits in: a quarter of the pixels of 720p.
const SMALL_SIZE_MAX: (u32, u32) = (640, 360);

/// Pixels a second of 1280x720 at 30 frames/s.
const WHOLE_PIXELS_ABOVE: u64 = 1280 * 720 * 30;

/// Most bits of all pictures that ffmpeg is to make of one input, in kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bitrates {
    /// The picture.
    pub(crate) full: u32,
    /// The second, smaller one, where there is one.
    pub(crate) small: Option<u32>,
}

/// An H.264 encoder of ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    Nvenc,
    Vaapi,
    Qsv,
    VideoToolbox,
    Amf,
    X264,
    OpenH264,
}

/// What an ffmpeg can do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// The first encoder that works.
    pub(crate) encoder: Encoder,
    /// It knows `-fps_mode` (5.1 and later) rather than `-vsync`.
    has_fps_mode: bool,
    /// Movement is looked for by whole pixels only.
    whole_pixels: bool,
}

impl Encoder {
    /// In the order in which they are tried: graphics hardware first, then the better of the software.
    const ALL: [Self; 7] =
        [Self::Nvenc, Self::Vaapi, Self::Qsv, Self::VideoToolbox, Self::Amf, Self::X264, Self::OpenH264];

    /// ffmpeg's name of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nvenc => "h264_nvenc",
            Self::Vaapi => "h264_vaapi",
            Self::Qsv => "h264_qsv",
            Self::VideoToolbox => "h264_videotoolbox",
            Self::Amf => "h264_amf",
            Self::X264 => "libx264",
            Self::OpenH264 => "libopenh264",
        }
    }

    /// Arguments before the input.
    fn device(self) -> &'static [&'static str] {
        match self {
            Self::Vaapi => &["-vaapi_device", "/dev/dri/renderD128"],
            _ => &[],
        }
    }

    /// What the filters end with.
    const fn filter(self) -> &'static str {
        match self {
            Self::Vaapi => ",format=nv12,hwupload",
            Self::Qsv => ",format=nv12",
            _ => "",
        }
    }

    /// Zero latency, no B-frames, and a quality that a still screen reaches within a moment.
    fn tuning(self) -> &'static [&'static str] {
        match self {
            Self::Nvenc => &[
                "-preset",
                "p4",
                "-tune",
                "ull",
                "-profile:v",
                "main",
                "-rc",
                "vbr",
                "-cq",
                "22",
                "-zerolatency",
                "1",
                "-delay",
                "0",
                "-forced-idr",
                "1",
            ],
            Self::Vaapi => &["-profile:v", "main", "-rc_mode", "VBR", "-async_depth", "1"],
            Self::Qsv => &["-preset", "veryfast", "-profile:v", "main", "-async_depth", "1", "-forced_idr", "1"],
            Self::VideoToolbox => &["-profile:v", "main", "-realtime", "1"],
            Self::Amf => &["-usage", "ultralowlatency", "-profile:v", "main", "-rc", "vbr_latency", "-forced_idr", "1"],
            Self::X264 => &[
                "-preset",
                "superfast",
                "-tune",
                "zerolatency",
                "-profile:v",
                "main",
                "-crf",
                "22",
                "-sc_threshold",
                "0",
            ],
            Self::OpenH264 => &["-profile:v", "constrained_baseline", "-rc_mode", "bitrate", "-allow_skip_frames", "0"],
        }
    }

    fn rate(self, bitrate_kbit_s: u32) -> Vec<String> {
        let rate = format!("{bitrate_kbit_s}k");
        let buffer = format!("{}k", bitrate_kbit_s / 2); // half a second: a key frame of a full screen fits
        let mut arguments = vec!["-maxrate".to_owned(), rate.clone(), "-bufsize".to_owned(), buffer];
        if self != Self::X264 {
            arguments.splice(0..0, ["-b:v".to_owned(), rate]); // libx264 aims at a quality instead
        }
        arguments
    }
}

impl Encoding {
    /// The same for pictures with so many pixels a second. On a screen most things move by whole pixels; where the processor has more to do
    /// than for 720p at 30 frames/s, nothing else is looked for, which spares it a sixth.
    pub(crate) const fn suited_to(self, pixels_per_second: u64) -> Self {
        Self { whole_pixels: pixels_per_second > WHOLE_PIXELS_ABOVE, ..self }
    }

    /// Arguments of ffmpeg from the input on: `input` (with its own options) through `filters` to FLV on standard output. The smaller
    /// picture is made of the same frames, with its key frames where the picture has them, and goes to [`super::Pipes::second_output`].
    pub(crate) fn arguments(&self, input: &[OsString], filters: &str, bitrates: Bitrates) -> Vec<OsString> {
        let encoder = self.encoder;
        let mut arguments: Vec<OsString> = encoder.device().iter().map(Into::into).collect();
        arguments.extend_from_slice(input);
        let upload = encoder.filter();
        let Some(small_kbit_s) = bitrates.small else {
            let filters = format!("{filters}{upload}");
            arguments.extend(["-map", "0:v:0", "-vf", &filters].map(Into::into));
            arguments.extend(self.output(bitrates.full, "pipe:1"));
            return arguments;
        };
        let small = scale_converted(Some(SMALL_SIZE_MAX));
        let filters = format!("[0:v:0]{filters},split[f][s];[f]null{upload}[full];[s]{small}{upload}[small]");
        arguments.extend(["-filter_complex", &filters].map(Into::into));
        for (map, kbit_s, to) in [("[full]", bitrates.full, "pipe:1"), ("[small]", small_kbit_s, "pipe:0")] {
            arguments.extend(["-map", map].map(Into::into));
            arguments.extend(self.output(kbit_s, to));
        }
        arguments
    }

    fn output(&self, bitrate_kbit_s: u32, to: &str) -> Vec<OsString> {
        let encoder = self.encoder;
        let key_frames = format!("expr:gte(t,n_forced*{})", KEY_FRAME_INTERVAL.as_secs());
        let passthrough = if self.has_fps_mode { "-fps_mode" } else { "-vsync" };
        let mut arguments: Vec<OsString> = ["-c:v", encoder.name(), "-bf", "0"].map(Into::into).to_vec();
        arguments.extend(encoder.tuning().iter().map(Into::into));
        if encoder == Encoder::X264 && self.whole_pixels {
            arguments.extend(["-x264-params", "subme=0"].map(Into::into));
        }
        arguments.extend(encoder.rate(bitrate_kbit_s).into_iter().map(Into::into));
        arguments.extend(["-g", GROUP_FRAMES_MAX, "-force_key_frames", &key_frames].map(Into::into));
        arguments.extend(["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"].map(Into::into));
        arguments
            .extend(["-color_range", "tv", passthrough, "passthrough", "-enc_time_base", "1:1000"].map(Into::into));
        arguments.extend(["-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv"].map(Into::into));
        arguments.push(to.into());
        arguments
    }
}

/// Filters that give frames of at most `size_max` in the colours that players assume for pictures of that size.
pub(crate) fn scale(size_max: Option<(u32, u32)>) -> String {
    format!("scale={}flags=fast_bilinear:out_color_matrix=bt709:out_range=tv,format=yuv420p", sized(size_max))
}

/// The same for frames that have those colours already.
pub(crate) fn scale_converted(size_max: Option<(u32, u32)>) -> String {
    let colours = "in_color_matrix=bt709:in_range=tv:out_color_matrix=bt709:out_range=tv";
    format!("scale={}flags=fast_bilinear:{colours},format=yuv420p", sized(size_max))
}

fn sized(size_max: Option<(u32, u32)>) -> String {
    match size_max {
        Some((width, height)) => format!(
            "w='min({width},iw)':h='min({height},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2:"
        ),
        None => "w='trunc(iw/2)*2':h='trunc(ih/2)*2':".to_owned(),
    }
}

/// What `ffmpeg` can do here. Asked once per process: trying the encoders takes a moment.
pub(crate) async fn probe(ffmpeg: &Path) -> Result<Encoding, SourceError> {
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, Encoding>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().await;
    if let Some(encoding) = known.get(ffmpeg) {
        return Ok(*encoding);
    }
    let encoding = find(ffmpeg).await?;
    known.insert(ffmpeg.to_owned(), encoding);
    Ok(encoding)
}

async fn find(ffmpeg: &Path) -> Result<Encoding, SourceError> {
    let version = run(ffmpeg, &["-version".into()], PROBE_TIME_MAX).await?;
    let version = version.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let has_fps_mode = !is_before_fps_mode(&version);
    let input = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"].map(Into::into);
    for encoder in Encoder::ALL {
        let encoding = Encoding { encoder, has_fps_mode, whole_pixels: false };
        let mut arguments = encoding.arguments(&input, &scale(None), Bitrates { full: 1_000, small: None });
        arguments.splice(arguments.len() - 1.., ["-frames:v".into(), "2".into(), "pipe:1".into()]);
        match run(ffmpeg, &arguments, PROBE_TIME_MAX).await? {
            Ok(output) if !output.is_empty() => return Ok(encoding),
            Ok(_) => {}
            Err(complaint) => tracing::debug!(encoder = encoder.name(), complaint, "this encoder does not work here"),
        }
    }
    Err(SourceError::NoEncoder { ffmpeg: ffmpeg.to_owned() })
}

/// Whether `ffmpeg -version` says 5.0 or earlier. Builds without a number are recent.
fn is_before_fps_mode(version: &str) -> bool {
    let number = version.strip_prefix("ffmpeg version ").unwrap_or_default().trim_start_matches('n');
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_without_fps_mode_are_known() {
        for (version, before) in [
            ("ffmpeg version 5.1.9-0+deb12u1 Copyright", false),
            ("ffmpeg version 4.4.2-0ubuntu0.22.04.1", true),
            ("ffmpeg version n7.0", false),
            ("ffmpeg version N-112233-gabcdef", false),
            ("ffmpeg version 2024-05-01-git", false),
            ("", false),
        ] {
            assert_eq!(is_before_fps_mode(version), before, "{version}");
        }
    }
}
