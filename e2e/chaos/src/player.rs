//! A viewer without a screen: does what the product's player does to keep a picture moving, and keeps book of what it could show.

mod course;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use protocol::StreamId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{Assignment, Directory},
    feed::{Faults, Shown},
};
use course::Course;
pub use course::Tempo;

/// What one player saw.
#[derive(Debug)]
pub struct Report {
    /// Every chunk that was shown, in order.
    pub shown: Vec<Shown>,
    /// What no relay should have done.
    pub faults: Faults,
    /// Chunks that came twice, over two connections, and were shown once.
    pub overlap: u64,
    /// Chunks that relays say they left out because this viewer was behind.
    pub skipped: u64,
    /// How often it asked the directory in as somebody new: a reload.
    pub reloads: u32,
    /// Why it gave up, if it did.
    pub over: Option<String>,
    /// It was closed while the stream went on, as people do.
    pub left: bool,
    /// What happened to it, with times in microseconds since the Unix epoch.
    pub diary: Vec<(u64, String)>,
}

/// What is known of a player while it plays.
#[derive(Debug, Default)]
pub struct Sight {
    first_shown_us: AtomicU64,
    last_shown_us: AtomicU64,
    over: Mutex<Option<String>>,
    relay: Mutex<Option<String>>,
}

impl Sight {
    /// When it first showed something: microseconds since the Unix epoch, 0 for never.
    #[must_use]
    pub fn first_shown_us(&self) -> u64 {
        self.first_shown_us.load(Ordering::Relaxed)
    }

    /// When it last showed something: microseconds since the Unix epoch, 0 for never.
    #[must_use]
    pub fn last_shown_us(&self) -> u64 {
        self.last_shown_us.load(Ordering::Relaxed)
    }

    /// Why it gave up, if it did.
    #[must_use]
    pub fn over(&self) -> Option<String> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The relay it watches at.
    #[must_use]
    pub fn relay(&self) -> Option<String> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_over(&self, why: &str) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    fn set_relay(&self, name: Option<&str>) {
        *self.relay.lock().unwrap_or_else(PoisonError::into_inner) = name.map(str::to_owned);
    }

    fn shows(&self, now_us: u64) {
        self.last_shown_us.store(now_us, Ordering::Relaxed);
        let _ = self.first_shown_us.compare_exchange(0, now_us, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A player that plays.
#[derive(Debug)]
pub struct Player {
    sight: Arc<Sight>,
    stop: CancellationToken,
    task: JoinHandle<Report>,
}

impl Player {
    /// Opens a stream.
    #[must_use]
    pub fn open(directory: Directory, id: StreamId, tempo: Tempo) -> Self {
        Self::sent(directory, id, tempo, None)
    }

    /// Opens a stream where it is told to, and asks the directory only later. That is no reload.
    #[must_use]
    pub fn sent(directory: Directory, id: StreamId, tempo: Tempo, assignment: Option<Assignment>) -> Self {
        let sight = Arc::<Sight>::default();
        let stop = CancellationToken::new();
        let course = Course::new(directory, id, tempo, Arc::clone(&sight), assignment);
        let task = tokio::spawn(course.run(stop.clone()));
        Self { sight, stop, task }
    }

    /// What is known of it now.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Closes it.
    ///
    /// # Panics
    /// When the player itself did.
    pub async fn close(self) -> Report {
        self.stop.cancel();
        self.task.await.expect("a player panicked")
    }
}
