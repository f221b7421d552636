//! The picture of a broadcast: a source through ffmpeg into the outbox, for as long as the broadcast runs.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use protocol::limits::KEY_FRAME_INTERVAL;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    capture_helper::FrameHeader,
    directory_client::local_now_us,
    ffmpeg::{Ffmpeg, encoder::Encoding},
    media_clock::MediaClock,
    outbox::Outbox,
    package::{
        flv::{FlvFrame, FlvItem, FlvParser},
        timeline::unwrap_flv_us,
    },
    sources::{Source, SourceError, Stamps, raw_frames::feed},
    status::StatusBoard,
};

/// A key frame that comes this soon by itself is not worth a second encoder.
const KEY_FRAME_SOON: Duration = Duration::from_millis(700);

/// How long the second encoder may take to its first key frame.
const SWITCH_TIME_MAX: Duration = Duration::from_secs(3);

/// A frame's declared length is its distance from the one before within these bounds; players go by the times alone.
const FRAME_DURATION_US_MAX: u64 = 500_000;

/// How far two encoders of one source may overlap. A larger step back is this machine's clock being set.
const OVERLAP_US_MAX: u64 = 1_000_000;

/// Everything the picture needs.
pub(crate) struct Picture {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) encoding: Encoding,
    pub(crate) ffmpeg: PathBuf,
    pub(crate) bitrate_kbit_s: u32,
    pub(crate) frame_rate: u32,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) media_clock: Arc<MediaClock>,
    pub(crate) key_frame_wanted: Arc<Notify>,
    pub(crate) board: StatusBoard,
    pub(crate) stop: CancellationToken,
}

/// How a run of the source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureEnd {
    /// It was stopped.
    Stopped,
    /// The source has no more: the end of a file.
    Finished,
    /// Its pictures have another size now.
    Resized,
}

/// One ffmpeg and what has been read of it.
struct Encoder {
    process: Ffmpeg,
    form: Option<FrameHeader>,
    parser: FlvParser,
    bytes: BytesMut,
    config: Option<Bytes>,
    frames: u64,
    started: Instant,
}

/// Times of the frames so far.
struct Pace {
    newest_us: Option<u64>,
    key_at: Instant,
}

impl Picture {
    /// Encodes until the source ends or the broadcast is stopped.
    pub(crate) async fn run(&self) -> Result<PictureEnd, SourceError> {
        let mut encoder = self.start()?;
        let mut next: Option<Encoder> = None;
        let mut pace = Pace { newest_us: None, key_at: Instant::now() };
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {
                    encoder.process.stop().await;
                    if let Some(next) = next { next.process.stop().await }
                    return Ok(PictureEnd::Stopped);
                }
                more = encoder.read() => {
                    while let Some(item) = encoder.next()? {
                        self.leave(&mut encoder, item, &mut pace)?;
                    }
                    if !more {
                        return self.ended(encoder).await;
                    }
                }
                more = read_next(&mut next) => {
                    if let Some(first) = self.first_key_frame(&mut next, more)
                        && let Some(switched) = next.take()
                    {
                        drop(tokio::spawn(std::mem::replace(&mut encoder, switched).process.stop()));
                        for item in first {
                            self.leave(&mut encoder, item, &mut pace)?;
                        }
                    }
                }
                () = self.key_frame_wanted.notified() => {
                    let due = KEY_FRAME_INTERVAL.saturating_sub(pace.key_at.elapsed());
                    if self.source.is_live() && next.is_none() && encoder.frames > 0 && due > KEY_FRAME_SOON {
                        next = self.start().ok();
                    }
                }
            }
        }
    }

    fn start(&self) -> Result<Encoder, SourceError> {
        let arguments = self.encoding.arguments(&self.source.input(), &self.source.filters(), self.bitrate_kbit_s);
        let frames = self.source.frames();
        let mut process = Ffmpeg::start(&self.ffmpeg, &arguments, frames.is_some())?;
        let form = frames.as_ref().map(|frames| frames.borrow().header);
        if let (Some(stdin), Some(frames), Some(form)) = (process.take_stdin(), frames, form) {
            // Ends with the encoder: nothing reads its pipe any more.
            drop(tokio::spawn(feed(stdin, frames, form, self.frame_rate)));
        }
        Ok(Encoder {
            process,
            form,
            parser: FlvParser::default(),
            bytes: BytesMut::new(),
            config: None,
            frames: 0,
            started: Instant::now(),
        })
    }

    async fn ended(&self, mut encoder: Encoder) -> Result<PictureEnd, SourceError> {
        let complaint = encoder.process.complaint().await;
        if encoder.frames > 0 && complaint.is_empty() && !self.source.is_live() {
            return Ok(PictureEnd::Finished);
        }
        if let (Some(form), Some(frames)) = (encoder.form, self.source.frames())
            && frames.has_changed().is_ok()
            && frames.borrow().header != form
        {
            return Ok(PictureEnd::Resized);
        }
        let complaint = if complaint.is_empty() { "it ended by itself".to_owned() } else { complaint };
        Err(self.source.failure(complaint))
    }

    /// The items of the second encoder up to its first key frame, when that is complete. An encoder that fails or is late is left.
    fn first_key_frame(&self, next: &mut Option<Encoder>, more: bool) -> Option<Vec<FlvItem>> {
        let encoder = next.as_mut()?;
        let mut items = Vec::new();
        while let Ok(Some(item)) = encoder.next() {
            items.push(item);
        }
        if items.iter().any(|item| matches!(item, FlvItem::Frame(_))) {
            let config = encoder.config.clone().map(FlvItem::Config);
            return Some(config.into_iter().chain(items).collect());
        }
        if let Some(FlvItem::Config(config)) = items.into_iter().next_back() {
            encoder.config = Some(config);
        }
        if (!more || encoder.started.elapsed() > SWITCH_TIME_MAX)
            && let Some(late) = next.take()
        {
            drop(tokio::spawn(late.process.stop()));
        }
        None
    }

    fn leave(&self, encoder: &mut Encoder, item: FlvItem, pace: &mut Pace) -> Result<(), SourceError> {
        let failed = |error: &dyn std::error::Error| SourceError::EncoderFailed { reason: error.to_string() };
        match item {
            FlvItem::Config(config) => {
                let size = encoder.parser.size().unwrap_or_default();
                #[expect(clippy::cast_precision_loss, reason = "frame rates are small")]
                let frame_rate = self.frame_rate as f32;
                self.outbox.picture_config(&config, size, frame_rate).map_err(|error| failed(&error))?;
                self.board.change(|status| (status.width, status.height) = size);
            }
            FlvItem::Frame(frame) => {
                encoder.frames += 1;
                if frame.key {
                    pace.key_at = Instant::now();
                }
                let captured_us = pace.in_order(self.captured_us(&frame));
                let nominal_us = 1_000_000 / u64::from(self.frame_rate.max(1));
                let gap_us = pace.newest_us.map_or(nominal_us, |newest_us| captured_us.saturating_sub(newest_us));
                pace.newest_us = Some(captured_us);
                let duration_us = gap_us.clamp(1_000, FRAME_DURATION_US_MAX).min(nominal_us);
                let duration_us = u32::try_from(duration_us).unwrap_or(u32::MAX);
                self.outbox
                    .picture(&frame.data, frame.key, captured_us, duration_us)
                    .map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    fn captured_us(&self, frame: &FlvFrame) -> u64 {
        let now_us = local_now_us();
        match self.source.stamps() {
            Stamps::WallClock => unwrap_flv_us(frame.time_ms, now_us),
            Stamps::Media => self.media_clock.arrived(u64::from(frame.time_ms) * 1_000, now_us),
        }
    }
}

impl Pace {
    /// A second encoder may have captured its first frame just before the newest of the first: it is put behind it.
    fn in_order(&self, captured_us: u64) -> u64 {
        match self.newest_us {
            Some(newest_us) if newest_us.saturating_sub(captured_us) < OVERLAP_US_MAX => {
                captured_us.max(newest_us + 1_000)
            }
            _ => captured_us,
        }
    }
}

impl Encoder {
    /// Reads more; false at the end. May be cancelled without a loss.
    async fn read(&mut self) -> bool {
        let more = self.process.read(&mut self.bytes).await;
        self.parser.push(&self.bytes.split());
        more
    }

    fn next(&mut self) -> Result<Option<FlvItem>, SourceError> {
        self.parser.next().map_err(|error| SourceError::EncoderFailed { reason: error.to_string() })
    }
}

async fn read_next(next: &mut Option<Encoder>) -> bool {
    match next {
        Some(encoder) => encoder.read().await,
        None => std::future::pending().await,
    }
}
