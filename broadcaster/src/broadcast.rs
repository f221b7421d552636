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
    options::{BroadcastOptions, SourceChoice},
    outbox::Outbox,
    picture::{Picture, PictureEnd},
    sound::{Sound, SoundSink},
    sources::{self, SourceError},
    status::{BroadcastState, BroadcastStatus, StatusBoard, WatchLink},
    uplink::Uplink,
};

/// An encoder that ran for this long and then failed is started again at once.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// Failures in a row after which a source is given up.
const FAILURES_MAX: u32 = 3;

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
        let board = StatusBoard::new(stream, watch_link, options.encrypt, encoding.encoder.name(), has_sound);
        let stop = CancellationToken::new();
        let outbox = Arc::new(Outbox::new(clock, true, content_key.map(|key| Sealer::new(key, stream))));
        let key_frame_wanted = Arc::new(Notify::new());
        let media_clock = Arc::new(MediaClock::default());
        let (ordered, orders) = watch::channel(None);
        let claim = Arc::new(Claim::new(directory.clone(), stream, key.clone(), &assignment));
        let uplink = Uplink {
            claim: Arc::clone(&claim),
            authorities: options.authorities,
            outbox: Arc::clone(&outbox),
            has_picture: true,
            has_sound,
            key_frame_wanted: Arc::clone(&key_frame_wanted),
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
            source,
            encoding,
            ffmpeg: options.ffmpeg,
            bitrate_kbit_s: options.bitrate_kbit_s.unwrap_or(options.quality.bitrate_kbit_s()),
            frame_rate: options.quality.frame_rate(),
            outbox,
            media_clock,
            key_frame_wanted,
            board: board.clone(),
            stop: stop.clone(),
        };
        let session = Session {
            picture: Arc::new(picture),
            sound: sound.map(|sound| (sound, sound_sink)),
            repeats: matches!(options.source, SourceChoice::File { repeat: true, .. }),
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
    repeats: bool,
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
        let (picture, repeats) = (Arc::clone(&self.picture), self.repeats);
        tasks.spawn(async move { show(&picture, repeats).await.map_err(|error| error.to_string()) });
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

/// Shows the source until it is over: a file that repeats begins again, an encoder that fails now and then is started again.
async fn show(picture: &Picture, repeats: bool) -> Result<(), SourceError> {
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let frames = picture.outbox.frames();
        match picture.run().await {
            Ok(PictureEnd::Finished) if repeats => picture.media_clock.restart(),
            Ok(PictureEnd::Resized) => {}
            Ok(PictureEnd::Finished | PictureEnd::Stopped) => return Ok(()),
            Err(error) => {
                failures = if began.elapsed() >= GOOD_RUN { 1 } else { failures + 1 };
                if failures >= FAILURES_MAX || picture.outbox.frames() == frames {
                    return Err(error);
                }
                tracing::warn!(%error, "the source failed and is started again");
                picture.board.state(BroadcastState::Starting, format!("Starting the capture again: {error}."));
            }
        }
    }
}
