//! One ffmpeg that encodes the picture, and what it has written: frames of the picture, and of the smaller one where there is one.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::BytesMut;

use crate::{
    capture_helper::FrameHeader,
    directory_client::local_now_us,
    ffmpeg::{Ffmpeg, Read},
    media_clock::MediaClock,
    package::{
        flv::{FlvItem, FlvParser},
        packager::Rendition,
    },
    sources::SourceError,
    uplink_rate::PictureRate,
};

/// How long a second encoder may take to its first key frame.
const START_TIME_MAX: Duration = Duration::from_secs(3);

/// One that plays a file ahead of time takes over at its first frame's time, when the first encoder gives the frame of that time; or this
/// much later, when it does not.
const OVERDUE: Duration = Duration::from_millis(200);

/// Something of one of the pictures.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) rendition: Rendition,
    pub(super) item: FlvItem,
}

impl Item {
    const fn time_ms(&self) -> Option<u32> {
        match &self.item {
            FlvItem::Frame(frame) => Some(frame.time_ms),
            FlvItem::Config(_) => None,
        }
    }
}

/// A running encoder.
pub(super) struct Encoder {
    pub(super) process: Ffmpeg,
    /// The form of the frames that it is fed with.
    pub(super) form: Option<FrameHeader>,
    /// What it was told to make.
    pub(super) rate: PictureRate,
    /// Frames of the picture that were taken from it.
    pub(super) frames: u64,
    pub(super) started: Instant,
    /// It has begun at a place of the file that is yet to come: its frames wait until they are due.
    is_ahead: bool,
    full: FlvParser,
    small: FlvParser,
    full_bytes: BytesMut,
    small_bytes: BytesMut,
    ready: VecDeque<Item>,
    is_over: bool,
}

/// How a second encoder has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It takes over with its first frame.
    Ready,
    /// It has failed, or is late.
    Failed,
}

impl Encoder {
    /// An encoder that runs; `is_ahead` when it plays a file from a place on that is yet to come.
    pub(super) fn new(process: Ffmpeg, form: Option<FrameHeader>, rate: PictureRate, is_ahead: bool) -> Self {
        Self {
            process,
            form,
            rate,
            frames: 0,
            started: Instant::now(),
            is_ahead,
            full: FlvParser::default(),
            small: FlvParser::default(),
            full_bytes: BytesMut::new(),
            small_bytes: BytesMut::new(),
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// Width and height of one of the pictures.
    pub(super) fn size(&self, rendition: Rendition) -> (u32, u32) {
        let parser = match rendition {
            Rendition::Full => &self.full,
            Rendition::Small => &self.small,
        };
        parser.size().unwrap_or_default()
    }

    /// The next item when it is due; `None` at the end. May be cancelled without a loss.
    pub(super) async fn next(&mut self, clock: &MediaClock) -> Result<Option<Item>, SourceError> {
        loop {
            let due = self.ready.front().map(|item| self.due(item, clock));
            match due {
                Some(wait) if wait.is_zero() => return Ok(self.ready.pop_front()),
                None if self.is_over => return Ok(None),
                Some(wait) if self.is_over => tokio::time::sleep(wait).await,
                Some(wait) => tokio::select! {
                    read = self.read() => read?,
                    () = tokio::time::sleep(wait) => {}
                },
                None => self.read().await?,
            }
        }
    }

    /// Waits until this second encoder can take over from the first: at its first key frame, and not before that is due.
    pub(super) async fn begun(&mut self, clock: &MediaClock) -> Begun {
        let patience = if self.is_ahead { 2 * START_TIME_MAX } else { START_TIME_MAX };
        let late = tokio::time::Instant::from_std(self.started + patience);
        let begun = async {
            while self.first_frame_ms().is_none() {
                if self.is_over || self.read().await.is_err() {
                    return Begun::Failed;
                }
            }
            loop {
                let wait = self.first_frame_ms().map(|ms| overdue(clock, ms)).unwrap_or_default();
                if !self.is_ahead || wait.is_zero() {
                    return Begun::Ready;
                }
                // What it writes meanwhile is taken: a full pipe would hold it.
                tokio::select! {
                    read = self.read(), if !self.is_over => if read.is_err() { return Begun::Failed },
                    () = tokio::time::sleep(wait) => {}
                }
            }
        };
        tokio::time::timeout_at(late, begun).await.unwrap_or(Begun::Failed)
    }

    /// The time of the first frame of one that has begun.
    pub(super) fn first_frame_ms(&self) -> Option<u32> {
        self.ready.iter().filter(|item| item.rendition == Rendition::Full).find_map(Item::time_ms)
    }

    /// Whether its frames wait until they are due.
    pub(super) const fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// How long an item has to wait.
    fn due(&self, item: &Item, clock: &MediaClock) -> Duration {
        match item.time_ms() {
            Some(time_ms) if self.is_ahead => wait_for(clock, time_ms),
            _ => Duration::ZERO,
        }
    }

    async fn read(&mut self) -> Result<(), SourceError> {
        let read = self.process.read_both(&mut self.full_bytes, &mut self.small_bytes).await;
        self.is_over = read == Read::End;
        let failed = |error: crate::package::flv::FlvError| SourceError::EncoderFailed { reason: error.to_string() };
        let renditions = [
            (Rendition::Full, &mut self.full, &mut self.full_bytes),
            (Rendition::Small, &mut self.small, &mut self.small_bytes),
        ];
        for (rendition, parser, bytes) in renditions {
            parser.push(&bytes.split());
            while let Some(item) = parser.next().map_err(failed)? {
                self.ready.push_back(Item { rendition, item });
            }
        }
        Ok(())
    }
}

fn wait_for(clock: &MediaClock, time_ms: u32) -> Duration {
    let due_us = clock.at(u64::from(time_ms) * 1_000).unwrap_or_default();
    Duration::from_micros(due_us.saturating_sub(local_now_us()))
}

fn overdue(clock: &MediaClock, time_ms: u32) -> Duration {
    let due_us = clock.at(u64::from(time_ms) * 1_000).unwrap_or_default();
    (Duration::from_micros(due_us) + OVERDUE).saturating_sub(Duration::from_micros(local_now_us()))
}
