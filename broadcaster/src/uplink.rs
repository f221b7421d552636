//! From the outbox to a relay, over whatever relay the directory names or orders, until the broadcast is stopped.

mod confirmed;
mod connection;
mod course;
mod flight;
mod gauge;
mod leg;
mod line;
mod opening;
mod route;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use protocol::{TrackInfo, TrackKind, http::Assignment, limits::CLIENT_PATIENCE};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    claim::Claim,
    directory_client::{DirectoryError, local_now_us},
    outbox::Outbox,
    sleep_watch::SleepWatch,
    status::StatusBoard,
    uplink_rate::PictureRate,
};

use course::Course;
pub(crate) use opening::RelayWays;

/// How often silence is looked for and figures are brought up to date: a tenth of a client's patience.
const TICK: Duration = Duration::from_millis(100);

/// Most of what relays tell that waits: they are read as fast as this is emptied.
const NEWS_MAX: usize = 64;

/// How long the sound may take to start before the stream goes on without it.
const SOUND_START_TIME_MAX: Duration = Duration::from_secs(3);

/// Everything the uplink needs.
pub(crate) struct Uplink {
    pub(crate) claim: Arc<Claim>,
    /// How relays are reached.
    pub(crate) ways: RelayWays,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) has_picture: bool,
    pub(crate) has_small_picture: bool,
    pub(crate) has_sound: bool,
    /// Bits per second that the picture gets on a good line.
    pub(crate) picture_bit_s: u64,
    /// Bits per second of everything else.
    pub(crate) fixed_bit_s: u64,
    /// What the picture may have on this line.
    pub(crate) rate: watch::Sender<PictureRate>,
    pub(crate) key_frame_wanted: Arc<Notify>,
    /// The picture is to begin anew: what runs has lived through this machine's sleep.
    pub(crate) restart_wanted: Arc<Notify>,
    /// The newest assignment that the directory has ordered.
    pub(crate) ordered: watch::Receiver<Option<Assignment>>,
    pub(crate) board: StatusBoard,
    pub(crate) stop: CancellationToken,
}

impl Uplink {
    /// Sends until the broadcast is stopped. An error is one that no retrying cures: the stream itself is gone.
    pub(crate) async fn run(&self, assignment: Assignment) -> Result<(), DirectoryError> {
        match self.stop.run_until_cancelled(self.wait_for_tracks()).await {
            Some(()) => self.send(assignment).await,
            None => Ok(()),
        }
    }

    async fn send(&self, assignment: Assignment) -> Result<(), DirectoryError> {
        let (sender, mut news) = mpsc::channel(NEWS_MAX);
        let mut course = Course::new(self, assignment, sender);
        let mut ordered = self.ordered.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked_at = Instant::now();
        let mut sleep_watch = SleepWatch::new(looked_at, local_now_us());
        let outcome = loop {
            let mut outcome = Ok(());
            tokio::select! {
                () = self.stop.cancelled() => break Ok(()),
                Some((id, told)) = news.recv() => course.heard(id, told, Instant::now()),
                answer = answer(&mut course.asking) => outcome = course.answered(answer, Instant::now()),
                order = next_order(&mut ordered) => course.ordered(order, Instant::now()),
                _ = tick.tick() => {
                    let now = Instant::now();
                    let woke = sleep_watch.look(now, local_now_us());
                    if let Some(woke) = woke {
                        tracing::info!(?woke, "this machine's clock has made a step");
                        self.outbox.clock_was_set();
                        self.restart_wanted.notify_one();
                    }
                    if woke.is_some() || now - looked_at > CLIENT_PATIENCE {
                        course.woke_up(now);
                    }
                    looked_at = now;
                }
            }
            if outcome.is_err() {
                break outcome;
            }
            course.steer(Instant::now());
        };
        course.end();
        drop(news); // nobody waits for being heard any more
        while course.tasks.join_next().await.is_some() {}
        outcome
    }

    fn tracks(&self) -> Vec<TrackInfo> {
        self.outbox.tracks().borrow().clone()
    }

    /// Waits until every track has told its configuration. Sound that does not come is not waited for long.
    async fn wait_for_tracks(&self) {
        let mut tracks = self.outbox.tracks();
        let pictures = usize::from(self.has_picture) + usize::from(self.has_small_picture);
        let count = |tracks: &Vec<TrackInfo>, kind| tracks.iter().filter(|track| track.kind == kind).count();
        let _ = tracks.wait_for(|tracks| count(tracks, TrackKind::Video) >= pictures).await;
        if self.has_sound {
            let sound = tracks.wait_for(|tracks| count(tracks, TrackKind::Sound) > 0);
            if self.has_picture {
                let _ = tokio::time::timeout(SOUND_START_TIME_MAX, sound).await;
            } else {
                let _ = sound.await;
            }
        }
    }
}

/// The directory's answer to what it is asked.
async fn answer<T>(asking: &mut Option<BoxFuture<'static, T>>) -> T {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// The next order of the directory.
async fn next_order(ordered: &mut watch::Receiver<Option<Assignment>>) -> Assignment {
    loop {
        if ordered.changed().await.is_err() {
            return std::future::pending().await; // no orders come any more
        }
        if let Some(order) = &*ordered.borrow_and_update() {
            return order.clone();
        }
    }
}
