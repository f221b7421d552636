//! The picture of a broadcast: a source through ffmpeg into the outbox, for as long as the broadcast runs.
//!
//! Whatever is to change about the encoder (fewer bits, a key frame now) is done by a second one, which is started beside the first
//! and takes over with its first frame.

mod encoder;
mod pace;
mod restarts;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use crate::{
    directory_client::local_now_us,
    ffmpeg::{
        Ffmpeg, Pipes,
        encoder::{Bitrates, Encoding},
    },
    media_clock::MediaClock,
    outbox::Outbox,
    package::{
        flv::{FlvFrame, FlvItem},
        packager::Rendition,
        timeline::unwrap_flv_us,
    },
    sources::{Source, SourceError, Stamps, Take, raw_frames::feed},
    status::StatusBoard,
    uplink_rate::PictureRate,
};

use encoder::{Begun, Encoder, Item};
use pace::{Moment, Pace};
use restarts::Restarts;

/// A key frame that comes this soon by itself is not worth a second encoder.
const KEY_FRAME_SOON: Duration = Duration::from_millis(700);

/// A live source gives a frame at least three times a second; an encoder without one for this long hangs.
const FRAME_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an encoder may take to its first frame: a busy machine, and a slow graphics driver.
const FIRST_FRAME_TIME_MAX: Duration = Duration::from_secs(15);

/// How far ahead of time a second encoder begins to play a file, so that it has begun when that place is due.
const LEAD: Duration = Duration::from_millis(800);

/// The longest lead; a machine that needs more has no room for a second encoder.
const LEAD_MAX: Duration = Duration::from_secs(3);

/// A second encoder of a file that begins further back than this repeats too much.
const REPEATED_MS_MAX: u32 = 400;

/// Frames of the smaller picture that wait for the picture's: more than a second.
const SMALL_WAITING_MAX: usize = 90;

/// The smaller picture's share of the picture's bits, in percent, and its bounds in kbit/s.
const SMALL_PERCENT: u32 = 18;
const SMALL_KBIT_S_MIN: u32 = 150;
const SMALL_KBIT_S_MAX: u32 = 600;

/// What the smaller picture takes on a good line, beside a picture of so much.
pub(crate) fn small_kbit_s(full_kbit_s: u32) -> u32 {
    (full_kbit_s / 100 * SMALL_PERCENT).clamp(SMALL_KBIT_S_MIN, SMALL_KBIT_S_MAX)
}

/// Everything the picture needs.
pub(crate) struct Picture {
    pub(crate) source: Mutex<Arc<dyn Source>>,
    pub(crate) encoding: Encoding,
    pub(crate) ffmpeg: PathBuf,
    /// Most bits of the picture on a good line.
    pub(crate) bitrate_kbit_s: u32,
    /// What it may have on this line.
    pub(crate) rate: watch::Receiver<PictureRate>,
    pub(crate) frame_rate: u32,
    /// Whether a smaller picture is sent as well.
    pub(crate) small: bool,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) media_clock: Arc<MediaClock>,
    pub(crate) key_frame_wanted: Arc<Notify>,
    pub(crate) restart_wanted: Arc<Notify>,
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

/// One run of the source, through one encoder after the other.
struct Run<'a> {
    picture: &'a Picture,
    source: Arc<dyn Source>,
    encoder: Encoder,
    next: Option<Encoder>,
    restarts: Restarts,
    lead: Duration,
    pace: Pace,
    frame_at: Instant,
    /// Frames of the smaller picture whose moment the picture has not shown yet.
    small: VecDeque<FlvFrame>,
}

/// What happens next.
enum Event {
    Stop,
    Item(Option<Item>),
    Begun(Begun),
    KeyFrameWanted,
    RestartWanted,
    RateDue,
    RateChanged,
    Hangs,
}

impl Picture {
    /// Encodes until the source ends or the broadcast is stopped.
    pub(crate) async fn run(&self) -> Result<PictureEnd, SourceError> {
        let source = self.source();
        let from = (!source.is_live()).then(|| self.place(LEAD)).flatten();
        let (encoder, now) = (self.start(&*source, from)?, Instant::now());
        let run = Run {
            picture: self,
            source,
            encoder,
            next: None,
            restarts: Restarts::new(self.bitrate_kbit_s),
            lead: LEAD,
            pace: Pace::new(now),
            frame_at: now,
            small: VecDeque::new(),
        };
        run.show().await
    }

    /// What is shown.
    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is shown from the next run on.
    pub(crate) fn set_source(&self, source: Arc<dyn Source>) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// The place of the file that is played `ahead` from now; `None` before it has begun.
    fn place(&self, ahead: Duration) -> Option<Duration> {
        self.media_clock.place(local_now_us()).map(|place| place + ahead)
    }

    fn start(&self, source: &dyn Source, from: Option<Duration>) -> Result<Encoder, SourceError> {
        let rate = *self.rate.borrow();
        let take = Take { halves_frames: rate.halves_frames, from };
        // On a slow line the smaller picture takes no more than half of what the picture has.
        let small = self.small.then(|| small_kbit_s(self.bitrate_kbit_s).min(rate.bitrate_kbit_s / 2));
        let bitrates = Bitrates { full: rate.bitrate_kbit_s, small };
        let arguments = self.encoding.arguments(&source.input(take), &source.filters(take), bitrates);
        let frames = source.frames();
        let pipes = Pipes { feeds: frames.is_some(), second_output: self.small };
        let mut process = Ffmpeg::start(&self.ffmpeg, &arguments, pipes)?;
        let form = frames.as_ref().map(|frames| frames.borrow().header);
        if let (Some(stdin), Some(frames), Some(form)) = (process.take_stdin(), frames, form) {
            // Ends with the encoder: nothing reads its pipe any more.
            drop(tokio::spawn(feed(stdin, frames, form, take.frame_rate(self.frame_rate))));
        }
        Ok(Encoder::new(process, form, rate, from.is_some()))
    }
}

impl Run<'_> {
    async fn show(mut self) -> Result<PictureEnd, SourceError> {
        self.picture.board.picture_takes(self.encoder.rate.bitrate_kbit_s, Instant::now());
        loop {
            match self.event().await? {
                Event::Stop => {
                    self.encoder.process.stop().await;
                    if let Some(next) = self.next {
                        next.process.stop().await;
                    }
                    return Ok(PictureEnd::Stopped);
                }
                Event::Item(Some(item)) => self.item(item)?,
                Event::Item(None) => return self.ended().await,
                Event::Begun(Begun::Ready) => self.switch(),
                Event::Begun(Begun::Failed) => self.abandon(),
                Event::KeyFrameWanted => {
                    if self.pace.key_due(Instant::now()) > KEY_FRAME_SOON {
                        self.start_next();
                    }
                }
                Event::RestartWanted => self.start_next(),
                Event::RateDue => {
                    self.restarts.restarted(Instant::now());
                    self.start_next();
                }
                Event::RateChanged => {}
                Event::Hangs => {
                    let Self { source, encoder, next, .. } = self;
                    for hung in [Some(encoder), next].into_iter().flatten() {
                        drop(tokio::spawn(hung.process.stop()));
                    }
                    return Err(source.failure("it gives no picture any more".to_owned()));
                }
            }
        }
    }

    async fn event(&mut self) -> Result<Event, SourceError> {
        let picture = self.picture;
        let hangs_at = self.source.is_live().then(|| {
            let patience = if self.encoder.frames == 0 { FIRST_FRAME_TIME_MAX } else { FRAME_TIME_MAX };
            self.frame_at + patience
        });
        let rate_due_at = self.rate_due_at();
        let mut rate = picture.rate.clone();
        rate.mark_unchanged();
        Ok(tokio::select! {
            biased; // what is there is taken before anybody loses patience
            () = picture.stop.cancelled() => Event::Stop,
            item = self.encoder.next(&picture.media_clock) => Event::Item(item?),
            begun = begun(&mut self.next, &picture.media_clock) => Event::Begun(begun),
            () = picture.key_frame_wanted.notified() => Event::KeyFrameWanted,
            () = picture.restart_wanted.notified() => Event::RestartWanted,
            () = at(rate_due_at) => Event::RateDue,
            Ok(()) = rate.changed() => Event::RateChanged,
            () = at(hangs_at) => Event::Hangs,
        })
    }

    fn rate_due_at(&self) -> Option<Instant> {
        let wanted = *self.picture.rate.borrow();
        let is_shown = self.encoder.frames > 0 && self.next.is_none();
        is_shown.then(|| self.restarts.due(self.encoder.rate, wanted, Instant::now())).flatten()
    }

    /// Starts a second encoder, unless there is one.
    fn start_next(&mut self) {
        if self.next.is_some() || self.encoder.frames == 0 {
            return;
        }
        let from = if self.source.is_live() { None } else { self.picture.place(self.lead) };
        if self.source.is_live() || from.is_some() {
            self.next = self.picture.start(&*self.source, from).ok();
        }
    }

    /// The second encoder goes on from here.
    fn switch(&mut self) {
        let Some(next) = self.next.take() else { return };
        let repeated_ms = match (self.pace.newest_ms(), next.first_frame_ms()) {
            (Some(newest_ms), Some(first_ms)) if next.is_ahead() => newest_ms.saturating_sub(first_ms),
            _ => 0,
        };
        if repeated_ms > REPEATED_MS_MAX {
            self.next = Some(next);
            return self.abandon();
        }
        if next.rate.bitrate_kbit_s < self.encoder.rate.bitrate_kbit_s {
            self.picture.outbox.catch_up();
        }
        self.picture.board.picture_takes(next.rate.bitrate_kbit_s, Instant::now());
        drop(tokio::spawn(std::mem::replace(&mut self.encoder, next).process.stop()));
        self.pace.switched();
        self.small.clear();
    }

    /// The second encoder came to nothing.
    fn abandon(&mut self) {
        if let Some(late) = self.next.take() {
            self.lead = LEAD_MAX.min(2 * self.lead);
            drop(tokio::spawn(late.process.stop()));
        }
    }

    async fn ended(self) -> Result<PictureEnd, SourceError> {
        let Self { source, mut encoder, next, .. } = self;
        if let Some(next) = next {
            drop(tokio::spawn(next.process.stop()));
        }
        let complaint = encoder.process.complaint().await;
        if encoder.frames > 0 && complaint.is_empty() && !source.is_live() {
            return Ok(PictureEnd::Finished);
        }
        if let (Some(form), Some(frames)) = (encoder.form, source.frames())
            && frames.has_changed().is_ok()
            && frames.borrow().header != form
        {
            return Ok(PictureEnd::Resized);
        }
        let complaint = if complaint.is_empty() { "it ended by itself".to_owned() } else { complaint };
        Err(source.failure(complaint))
    }

    fn item(&mut self, Item { rendition, item }: Item) -> Result<(), SourceError> {
        match (rendition, item) {
            (rendition, FlvItem::Config(config)) => self.config(rendition, &config),
            (Rendition::Full, FlvItem::Frame(frame)) => {
                // A second encoder that waits for its time goes on with the frame of that time.
                let takes_over = |next: &Encoder| {
                    next.is_ahead() && next.first_frame_ms().is_some_and(|first_ms| frame.time_ms >= first_ms)
                };
                if self.next.as_ref().is_some_and(takes_over) {
                    self.switch();
                    if self.encoder.frames == 0 {
                        return Ok(());
                    }
                }
                self.frame(&frame)
            }
            (Rendition::Small, FlvItem::Frame(frame)) => {
                if self.small.len() == SMALL_WAITING_MAX {
                    self.small.pop_front();
                }
                self.small.push_back(frame);
                self.small_frames()
            }
        }
    }

    fn config(&mut self, rendition: Rendition, config: &[u8]) -> Result<(), SourceError> {
        let size = self.encoder.size(rendition);
        #[expect(clippy::cast_precision_loss, reason = "frame rates are small")]
        let frame_rate = self.picture.frame_rate as f32;
        self.picture.outbox.picture_config(rendition, config, size, frame_rate).map_err(failed)?;
        if rendition == Rendition::Full {
            self.picture.board.change(|status| (status.width, status.height) = size);
        }
        Ok(())
    }

    fn frame(&mut self, frame: &FlvFrame) -> Result<(), SourceError> {
        let now = Instant::now();
        self.frame_at = now;
        self.encoder.frames += 1;
        if self.encoder.frames == 1 {
            self.picture.board.trouble(None);
        }
        if frame.key {
            self.pace.key(now);
        }
        let take = Take { halves_frames: self.encoder.rate.halves_frames, from: None };
        let captured_us = self.captured_us(frame);
        let moment = self.pace.frame(frame.time_ms, captured_us, take.frame_rate(self.picture.frame_rate));
        self.leave(Rendition::Full, frame, moment)?;
        self.small_frames()
    }

    /// Leaves the frames of the smaller picture whose moment the picture has shown.
    fn small_frames(&mut self) -> Result<(), SourceError> {
        let Some(newest_ms) = self.pace.newest_ms() else { return Ok(()) };
        while self.small.front().is_some_and(|frame| frame.time_ms <= newest_ms) {
            let Some(frame) = self.small.pop_front() else { break };
            // One whose moment the picture left out is of no use, but the ones after it need it.
            let moment = self.pace.same(frame.time_ms).or_else(|| self.pace.same(newest_ms));
            if let Some(moment) = moment {
                self.leave(Rendition::Small, &frame, moment)?;
            }
        }
        Ok(())
    }

    fn leave(&self, rendition: Rendition, frame: &FlvFrame, moment: Moment) -> Result<(), SourceError> {
        let Moment { captured_us, duration_us } = moment;
        self.picture.outbox.picture(rendition, &frame.data, frame.key, captured_us, duration_us).map_err(failed)
    }

    fn captured_us(&self, frame: &FlvFrame) -> u64 {
        let now_us = local_now_us();
        let media_us = u64::from(frame.time_ms) * 1_000;
        match self.source.stamps() {
            Stamps::WallClock => unwrap_flv_us(frame.time_ms, now_us),
            // What was made ahead of time tells nothing about when it is due.
            Stamps::Media if self.encoder.is_ahead() => self.picture.media_clock.at(media_us).unwrap_or(now_us),
            Stamps::Media => self.picture.media_clock.arrived(media_us, now_us),
        }
    }
}

fn failed(error: impl std::error::Error) -> SourceError {
    SourceError::EncoderFailed { reason: error.to_string() }
}

async fn begun(next: &mut Option<Encoder>, clock: &MediaClock) -> Begun {
    match next {
        Some(encoder) => encoder.begun(clock).await,
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
