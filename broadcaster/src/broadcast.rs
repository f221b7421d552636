//! A running broadcast.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, pin_mut};
use protocol::{
    BroadcastKey, ErrorCode, StreamId, ViewerId,
    http::{Assignment, CreateStream, CreatedStream, Order},
    seal::{ContentKey, SealError, Sealer},
};
use thiserror::Error;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    claim::Claim,
    directory_client::{DirectoryClient, DirectoryError},
    ffmpeg::encoder,
    media_clock::MediaClock,
    options::{BroadcastOptions, Quality, SourceChoice},
    outbox::Outbox,
    picture::{Picture, PictureEnd, small_kbit_s},
    sound::{Sound, SoundSink},
    sources::{self, SourceError},
    status::{BroadcastState, BroadcastStatus, StatusBoard, WatchLink},
    uplink::{RelayWays, Uplink},
    uplink_rate::PictureRate,
};

/// An encoder that ran for this long and then failed is started again at once.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// Failures in a row after which a file is given up.
const FAILURES_MAX: u32 = 3;

/// How soon a screen that gives no picture is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How long a screen may be gone before the broadcast ends: a dock that is unplugged and plugged in elsewhere, a person who is asked
/// what to share and is not there.
const SOURCE_AWAY_TIME_MAX: Duration = Duration::from_secs(600);

/// Who says no sooner than this was there to say it. Dialogs that nobody answers close later.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(8);

/// What the sound takes with all that is around its packets, in bits per second.
const SOUND_BIT_S: u64 = 128_000;

/// Why a broadcast did not start. Its text is a sentence for people that says the way out.
#[derive(Debug, Error)]
pub enum StartError {
    /// The directory refused or can't be reached.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The picture or the sound can't be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The stream can't be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// One live stream, from start to stop. Dropping it stops it too, but waits for nothing.
#[derive(Debug)]
pub struct Broadcast {
    status: watch::Receiver<BroadcastStatus>,
    directory: DirectoryClient,
    stream: StreamId,
    key: BroadcastKey,
    stop: DropGuard,
    ended: JoinHandle<()>,
}

impl Broadcast {
    /// Prepares source and encoder, creates the stream at the directory and begins to send.
    ///
    /// # Errors
    /// When the source, ffmpeg or the directory is not there; nothing runs then. What fails later is told by [`Self::status`].
    pub async fn start(options: BroadcastOptions) -> Result<Self, StartError> {
        if options.small_picture && !cfg!(unix) {
            return Err(SourceError::SmallPictureUnsupported.into());
        }
        let encoding = encoder::probe(&options.ffmpeg).await?;
        let source = sources::open(&options.source, options.quality).await?;
        let sound = Sound::start(options.sound, &options.source, &options.ffmpeg).await?;
        let directory = DirectoryClient::trusting(options.directory.clone(), &options.authorities);
        let clock = directory.clock().await;
        let content_key = if options.encrypt { Some(ContentKey::generate()?) } else { None };
        let wanted = CreateStream {
            title: options.title.clone(),
            visibility: options.visibility,
            password: options.password.clone(),
            sealed: options.encrypt,
        };
        let created = directory.create_stream(&wanted, options.pass.as_ref()).await?;
        let CreatedStream { id: stream, broadcast_key: key, assignment, .. } = created;

        let has_sound = sound.is_some();
        let watch_link = WatchLink::new(directory.watch_link(stream), content_key.as_ref());
        let bitrate_kbit_s = options.bitrate_kbit_s.unwrap_or(options.quality.bitrate_kbit_s());
        let encoder = encoding.encoder.name();
        let board = StatusBoard::new(stream, watch_link, options.encrypt, encoder, has_sound, bitrate_kbit_s);
        let stop = CancellationToken::new();
        let outbox = Arc::new(Outbox::new(clock, true, content_key.map(|key| Sealer::new(key, stream))));
        let (key_frame_wanted, restart_wanted) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let rate = watch::Sender::new(PictureRate { bitrate_kbit_s, halves_frames: false });
        let small_bit_s = if options.small_picture { u64::from(small_kbit_s(bitrate_kbit_s)) * 1_000 } else { 0 };
        let media_clock = Arc::new(MediaClock::default());
        let (ordered, orders) = watch::channel(None);
        let claim = Arc::new(Claim::new(directory.clone(), stream, key.clone(), &assignment));
        let uplink = Uplink {
            claim: Arc::clone(&claim),
            ways: RelayWays::new(options.transport, options.authorities),
            outbox: Arc::clone(&outbox),
            has_picture: true,
            has_small_picture: options.small_picture,
            has_sound,
            picture_bit_s: u64::from(bitrate_kbit_s) * 1_000,
            fixed_bit_s: small_bit_s + if has_sound { SOUND_BIT_S } else { 0 },
            rate: rate.clone(),
            key_frame_wanted: Arc::clone(&key_frame_wanted),
            restart_wanted: Arc::clone(&restart_wanted),
            ordered: orders,
            board: board.clone(),
            stop: stop.clone(),
        };
        let sound_sink = SoundSink {
            outbox: Arc::clone(&outbox),
            media_clock: Arc::clone(&media_clock),
            board: board.clone(),
            stop: stop.clone(),
        };
        let picture = Picture {
            source: source.into(),
            encoding: encoding.suited_to(options.quality.pixels_per_second()),
            ffmpeg: options.ffmpeg,
            bitrate_kbit_s,
            rate: rate.subscribe(),
            frame_rate: options.quality.frame_rate(),
            small: options.small_picture,
            outbox,
            media_clock,
            key_frame_wanted,
            restart_wanted,
            board: board.clone(),
            stop: stop.clone(),
        };
        let session = Session {
            picture: Arc::new(picture),
            sound: sound.map(|sound| (sound, sound_sink)),
            choice: options.source,
            quality: options.quality,
            uplink: Arc::new(uplink),
            board: board.clone(),
            directory: directory.clone(),
            claim,
            ordered,
            stream,
            key: key.clone(),
            stop: stop.clone(),
        };
        let ended = tokio::spawn(session.run(assignment));
        Ok(Self { status: board.subscribe(), directory, stream, key, stop: stop.drop_guard(), ended })
    }

    /// How it is doing; changes several times a second. Its last state is [`BroadcastState::Ended`].
    #[must_use]
    pub fn status(&self) -> watch::Receiver<BroadcastStatus> {
        self.status.clone()
    }

    /// Removes a viewer, for good: its connection ends, and it is not let in again. The result borrows nothing.
    ///
    /// # Errors
    /// When the directory refuses or can't be reached.
    pub fn remove_viewer(&self, viewer: ViewerId) -> impl Future<Output = Result<(), DirectoryError>> + Send + use<> {
        let (directory, stream, key) = (self.directory.clone(), self.stream, self.key.clone());
        async move { directory.remove_viewer(stream, &key, viewer).await }
    }

    /// Ends the stream for every viewer and ends all processes. Takes a few seconds at most.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.ended.await;
    }
}

/// The tasks of one broadcast.
struct Session {
    picture: Arc<Picture>,
    sound: Option<(Sound, SoundSink)>,
    choice: SourceChoice,
    quality: Quality,
    uplink: Arc<Uplink>,
    board: StatusBoard,
    directory: DirectoryClient,
    claim: Arc<Claim>,
    ordered: watch::Sender<Option<Assignment>>,
    stream: StreamId,
    key: BroadcastKey,
    stop: CancellationToken,
}

impl Session {
    async fn run(mut self, assignment: Assignment) {
        let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
        let (picture, choice, quality) = (Arc::clone(&self.picture), self.choice.clone(), self.quality);
        tasks.spawn(async move { show(&picture, &choice, quality).await.map_err(|error| error.to_string()) });
        let uplink = Arc::clone(&self.uplink);
        tasks.spawn(async move { uplink.run(assignment).await.map_err(|error| error.to_string()) });

        let outbox = Arc::clone(&self.picture.outbox);
        let (claim, ordered) = (Arc::clone(&self.claim), self.ordered.clone());
        let stop = self.stop.clone();
        tasks.spawn(async move {
            let failure = async {
                tokio::select! {
                    error = outbox.seal_failure() => error.to_string(),
                    sentence = obey(&claim, &ordered) => sentence,
                }
            };
            stop.run_until_cancelled(failure).await.map_or(Ok(()), Err)
        });

        let sound = self.sound.take().map(|(sound, sink)| tokio::spawn(sound.run(sink)));

        // The first to end ends all: the source is over, the stream is gone, or the broadcast was stopped.
        let first = tasks.join_next().await;
        let failure = match first {
            Some(Ok(Err(sentence))) => Some(sentence),
            Some(Err(error)) => Some(format!("a part of the broadcast failed ({error})")),
            _ => None,
        };
        self.stop.cancel();
        while tasks.join_next().await.is_some() {}
        if let Some(sound) = sound {
            let _ = sound.await;
        }
        if let Err(error) = self.directory.end_stream(self.stream, &self.key).await {
            tracing::debug!(%error, "the directory was not told that the stream is over");
        }
        self.board.change(|status| {
            status.state = BroadcastState::Ended;
            status.failed = failure.is_some();
            status.sentence = match failure {
                Some(sentence) => format!("The broadcast has ended: {sentence}."),
                None => "The broadcast has ended.".to_owned(),
            };
        });
    }
}

/// Passes the directory's orders on until one says that the stream is over; why it is. A directory that has forgotten the stream is
/// reminded of it.
async fn obey(claim: &Claim, ordered: &watch::Sender<Option<Assignment>>) -> String {
    loop {
        let orders = claim.orders();
        pin_mut!(orders);
        let error = loop {
            match orders.next().await {
                Some(Ok(Order::Assignment { assignment })) => {
                    claim.keep(&assignment);
                    ordered.send_replace(Some(assignment));
                }
                Some(Ok(Order::End { message })) => return message.trim_end_matches('.').to_owned(),
                Some(Err(error)) => break error,
                None => return std::future::pending().await,
            }
        };
        if error.code() != Some(ErrorCode::StreamNotFound) || !claim.has_record() {
            return std::future::pending().await;
        }
        match claim.restored(error).await {
            Ok(assignment) => drop(ordered.send_replace(Some(assignment))),
            Err(error) => return error.to_string().trim_end_matches('.').to_owned(),
        }
    }
}

/// Shows the source until it is over: a file that repeats begins again, an encoder that fails now and then is started again, and a
/// screen that is gone is waited for.
async fn show(picture: &Picture, choice: &SourceChoice, quality: Quality) -> Result<(), SourceError> {
    let repeats = matches!(choice, SourceChoice::File { repeat: true, .. });
    let mut failures = 0;
    let mut away_since: Option<Instant> = None;
    loop {
        let began = Instant::now();
        let frames = picture.outbox.frames();
        let error = match picture.run().await {
            Ok(PictureEnd::Finished) if repeats => {
                picture.media_clock.restart();
                continue;
            }
            Ok(PictureEnd::Resized) => continue,
            Ok(PictureEnd::Finished | PictureEnd::Stopped) => return Ok(()),
            Err(error) => error,
        };
        let gave_frames = picture.outbox.frames() > frames;
        if picture.source().is_live() && picture.outbox.frames() > 0 {
            let since = *away_since.take_if(|_| !gave_frames).get_or_insert_with(Instant::now);
            away_since = Some(since);
            if since.elapsed() > SOURCE_AWAY_TIME_MAX {
                return Err(error);
            }
            tracing::warn!(%error, "the source gives no picture and is tried again");
            picture
                .board
                .trouble(Some(format!("There is no picture: {error}. Trying again; the stream stays meanwhile.")));
            if !gave_frames || began.elapsed() < RETRY_INTERVAL {
                let pause = tokio::time::sleep(RETRY_INTERVAL);
                if picture.stop.run_until_cancelled(pause).await.is_none() {
                    return Ok(());
                }
            }
            if picture.source().is_gone() {
                open_again(picture, choice, quality).await?;
            }
            continue;
        }
        failures = if began.elapsed() >= GOOD_RUN { 1 } else { failures + 1 };
        if failures >= FAILURES_MAX || !gave_frames {
            return Err(error);
        }
        tracing::warn!(%error, "the source failed and is started again");
        picture.board.state(BroadcastState::Starting, format!("Starting the capture again: {error}."));
    }
}

/// Asks for what is to be shown once more. Only a person who says no ends the broadcast.
async fn open_again(picture: &Picture, choice: &SourceChoice, quality: Quality) -> Result<(), SourceError> {
    let began = Instant::now();
    let opening = sources::open(choice, quality);
    match picture.stop.run_until_cancelled(opening).await {
        Some(Ok(source)) => picture.set_source(source),
        Some(Err(error @ SourceError::PermissionRefused)) if began.elapsed() < REFUSAL_TIME_MAX => return Err(error),
        Some(Err(error)) => tracing::debug!(%error, "the source is not back yet"),
        None => {}
    }
    Ok(())
}
