//! The sound of a broadcast: a second ffmpeg, so that neither picture nor sound waits for the other in a muxer.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio_util::sync::CancellationToken;

use crate::{
    directory_client::local_now_us,
    ffmpeg::{Ffmpeg, Pipes},
    media_clock::MediaClock,
    options::{SoundChoice, SourceChoice},
    outbox::Outbox,
    package::{
        ogg::{OggItem, OggParser, SAMPLE_RATE},
        sound_clock::{LiveAnchor, Placed, SILENCE, SILENCE_US, SoundClock},
    },
    sources::{SourceError, file::play},
    status::StatusBoard,
};

/// How long a sound server may take before the broadcast starts without waiting further.
const START_TIME_MAX: Duration = Duration::from_secs(2);

/// How soon sound that failed is tried again: a headset that is plugged in again, a sound server that restarts.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Where the sound comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SoundSource {
    Pulse(SoundChoice),
    File(PathBuf),
}

/// A running sound encoder.
pub(crate) struct Sound {
    source: SoundSource,
    ffmpeg: PathBuf,
    process: Ffmpeg,
    first: BytesMut,
}

/// Where a running sound encoder leaves what it makes.
pub(crate) struct SoundSink {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) media_clock: Arc<MediaClock>,
    pub(crate) board: StatusBoard,
    pub(crate) stop: CancellationToken,
}

impl Sound {
    /// Starts the chosen sound; `None` when none was chosen. Waits until the first of it arrives, so that a sound server that is not there is told
    /// at once.
    pub(crate) async fn start(
        sound: SoundChoice,
        picture: &SourceChoice,
        ffmpeg: &Path,
    ) -> Result<Option<Self>, SourceError> {
        let source = match (sound, picture) {
            (SoundChoice::None, _) => return Ok(None),
            (_, SourceChoice::File { path, .. }) => SoundSource::File(path.clone()),
            _ if !cfg!(target_os = "linux") => return Err(SourceError::SoundUnsupported),
            _ => SoundSource::Pulse(sound),
        };
        let mut process = Ffmpeg::start(ffmpeg, &source.arguments(), Pipes::default())?;
        let mut first = BytesMut::new();
        if let Ok(false) = tokio::time::timeout(START_TIME_MAX, process.read(&mut first)).await {
            let reason = process.complaint().await;
            return match source {
                SoundSource::File(_) => Ok(None), // a film without sound
                SoundSource::Pulse(_) => Err(SourceError::NoSoundServer { reason }),
            };
        }
        Ok(Some(Self { source, ffmpeg: ffmpeg.to_owned(), process, first }))
    }

    /// Encodes until the broadcast is stopped, beginning again whenever the sound breaks off. Sound never ends a broadcast.
    pub(crate) async fn run(mut self, sink: SoundSink) {
        loop {
            let stopped = self.encode(&sink).await;
            let Self { source, ffmpeg, mut process, .. } = self;
            if stopped {
                return process.stop().await;
            }
            let is_file = matches!(source, SoundSource::File(_));
            let complaint = process.complaint().await;
            if is_file && complaint.is_empty() {
                return; // the file is over; its picture says what follows
            }
            tracing::warn!(complaint, "the sound broke off and is started again");
            sink.board.change(|status| status.sound = false);
            process = loop {
                if sink.stop.run_until_cancelled(tokio::time::sleep(RETRY_INTERVAL)).await.is_none() {
                    return;
                }
                if let Ok(process) = Ffmpeg::start(&ffmpeg, &source.arguments(), Pipes::default()) {
                    break process;
                }
            };
            self = Self { source, ffmpeg, process, first: BytesMut::new() };
        }
    }

    /// Reads one process to its end; true when the broadcast was stopped instead.
    async fn encode(&mut self, sink: &SoundSink) -> bool {
        let mut reader = SoundReader::new(matches!(self.source, SoundSource::Pulse(_)));
        loop {
            if let Err(error) = reader.push(&self.first.split(), sink) {
                tracing::warn!(%error, "the sound can't be used");
                return false;
            }
            tokio::select! {
                () = sink.stop.cancelled() => return true,
                more = self.process.read(&mut self.first) => if !more { return false },
            }
        }
    }
}

/// Turns what one process writes into packets at their times.
struct SoundReader {
    parser: OggParser,
    clock: SoundClock,
    live: Option<LiveAnchor>,
}

impl SoundReader {
    fn new(is_live: bool) -> Self {
        let live = is_live.then(LiveAnchor::default);
        Self { parser: OggParser::default(), clock: SoundClock::default(), live }
    }

    fn push(&mut self, bytes: &[u8], sink: &SoundSink) -> anyhow::Result<()> {
        self.parser.push(bytes);
        let now_us = local_now_us();
        while let Some(item) = self.parser.next()? {
            match item {
                OggItem::Head { channels, pre_skip } => {
                    sink.outbox.sound_config(channels, pre_skip)?;
                    sink.board.change(|status| status.sound = true);
                }
                OggItem::Packet { data, samples, end } => {
                    let us = |samples: u64| samples * 1_000_000 / u64::from(SAMPLE_RATE);
                    let duration_us = us(samples.into());
                    let anchored_us = match &mut self.live {
                        Some(anchor) => anchor.captured_us(us(end), duration_us, now_us),
                        None => sink.media_clock.arrived(us(end).saturating_sub(duration_us), now_us),
                    };
                    self.send(&data, anchored_us, duration_us, now_us, sink)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, data: &[u8], at_us: u64, duration_us: u64, now_us: u64, sink: &SoundSink) -> anyhow::Result<()> {
        let Placed::Sent { mut captured_us, silent } = self.clock.place(at_us, duration_us, now_us) else {
            return Ok(());
        };
        for _ in 0..silent {
            sink.outbox.sound(SILENCE, captured_us, u32::try_from(SILENCE_US)?)?;
            captured_us += SILENCE_US;
        }
        sink.outbox.sound(data, captured_us, u32::try_from(duration_us)?)?;
        Ok(())
    }
}

impl SoundSource {
    fn arguments(&self) -> Vec<OsString> {
        // The sound server's own times jump at the start, so samples are counted instead; small fragments keep the delay small.
        let pulse = |device: &str| ["-f", "pulse", "-fragment_size", "3840", "-i", device].map(OsString::from);
        let (system, microphone) = ("@DEFAULT_MONITOR@", "@DEFAULT_SOURCE@");
        let count = "asetpts=N/SR/TB";
        let mut arguments = Vec::new();
        match self {
            Self::File(path) => {
                arguments.extend(play(path, None));
                arguments.extend(["-map", "0:a:0"].map(Into::into));
            }
            Self::Pulse(SoundChoice::Both) => {
                arguments.extend(pulse(system));
                arguments.extend(pulse(microphone));
                let mix = format!("[0:a]{count}[a];[1:a]{count}[b];[a][b]amix=inputs=2:normalize=0");
                arguments.extend(["-filter_complex".into(), mix.into()]);
            }
            Self::Pulse(choice) => {
                let device = if *choice == SoundChoice::Microphone { microphone } else { system };
                arguments.extend(pulse(device));
                arguments.extend(["-af", count].map(Into::into));
            }
        }
        arguments.extend(["-c:a", "libopus", "-ac", "2", "-ar", "48000", "-b:a", "96k"].map(Into::into));
        arguments.extend(["-frame_duration", "20", "-page_duration", "20000", "-flush_packets", "1"].map(Into::into));
        arguments.extend(["-f", "ogg", "pipe:1"].map(Into::into));
        arguments
    }
}
