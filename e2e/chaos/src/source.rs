//! A broadcaster without a camera: sends a paced stream of made-up bytes, does what the product's broadcaster does to keep it
//! going, and keeps book of every chunk it made.

mod air;
mod line;
mod orders;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use protocol::{StreamId, TrackNumber};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{Directory, Refusal},
    feed::Place,
};
use air::Air;

/// The picture's track.
pub const PICTURE: TrackNumber = TrackNumber(1);

/// The sound's track.
pub const SOUND: TrackNumber = TrackNumber(2);

/// What is sent.
#[derive(Debug, Clone)]
pub struct Programme {
    /// What the stream is called.
    pub title: String,
    /// Who finds it, as the API has it.
    pub visibility: &'static str,
    /// Pictures a second.
    pub rate: u32,
    /// Pictures from one key frame to the next.
    pub key_interval: u32,
    /// Bytes of each payload.
    pub chunk_bytes: usize,
    /// Sound too, in ten chunks a second and segments of one second.
    pub sound: bool,
}

impl Default for Programme {
    fn default() -> Self {
        Self { title: "Chaos".into(), visibility: "public", rate: 30, key_interval: 60, chunk_bytes: 500, sound: true }
    }
}

/// One chunk that was made, sent or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The track.
    pub track: TrackNumber,
    /// The place.
    pub place: Place,
    /// When: microseconds since the Unix epoch.
    pub at_us: u64,
}

/// What a source did.
#[derive(Debug, Default)]
pub struct Log {
    /// Every chunk.
    pub made: Vec<Made>,
    /// What happened, with times in microseconds since the Unix epoch.
    pub diary: Vec<(u64, String)>,
}

/// What is known of a source while it sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The relay that takes it in now; none while nothing is taken in.
    pub relay: Option<String>,
    /// The epoch of its newest assignment.
    pub epoch: u64,
    /// Why it gave up, if it did.
    pub over: Option<String>,
}

/// A source that sends.
pub struct Source {
    id: StreamId,
    directory: Directory,
    key: String,
    standing: Arc<Mutex<Standing>>,
    chunk_bytes: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<Log>,
}

impl Source {
    /// Goes live.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn begin(directory: Directory, programme: Programme) -> Result<Self, Refusal> {
        let (id, key, assignment) = directory.create(&programme.title, programme.visibility).await?;
        let standing = Arc::<Mutex<Standing>>::default();
        let stop = CancellationToken::new();
        let chunk_bytes = Arc::new(AtomicUsize::new(programme.chunk_bytes));
        let (seen, size) = (Arc::clone(&standing), Arc::clone(&chunk_bytes));
        let air = Air::new(directory.clone(), id, key.clone(), assignment, programme, seen, size);
        let task = tokio::spawn(air.run(stop.clone()));
        Ok(Self { id, directory, key, standing, chunk_bytes, stop, task })
    }

    /// The stream.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// What is known of it now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the bytes of each payload from now on.
    pub fn resize(&self, chunk_bytes: usize) {
        self.chunk_bytes.store(chunk_bytes, Ordering::Relaxed);
    }

    /// Whether the directory takes this source's key for the stream's.
    pub async fn owns_it(&self) -> bool {
        self.directory.orders(self.id, &self.key).await.is_ok()
    }

    /// Ends the stream.
    ///
    /// # Panics
    /// When the source itself did.
    pub async fn end(self) -> Log {
        self.stop.cancel();
        self.task.await.expect("a source panicked")
    }
}

/// A segment of sound.
const SOUND_CHUNKS: u32 = 10;

/// Between two chunks of sound.
const SOUND_INTERVAL: Duration = Duration::from_millis(100);
