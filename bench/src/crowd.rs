//! Many viewers of few threads: each thread waits for all its connections at once and reads what came, and for each viewer no more
//! is done than to count and to time, so that the load leaves the machine to what is measured.

pub mod door;
pub mod line;
pub mod message_reader;
mod sessions;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use mio::{Events, Interest, Poll, Token};

use self::{door::Door, line::Line};
use crate::{
    link::namespace,
    media_clock::MediaClock,
    transport::Transport,
    viewer::{Seen, Viewer},
};

/// How long a viewer may wait for its first chunk.
const JOIN_TIME_MAX: Duration = Duration::from_secs(15);

/// How long after the measured time viewers may still wait for its chunks.
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(5);

/// How often a thread looks at the clock while nothing comes.
const IDLE: Duration = Duration::from_millis(100);

/// Bytes of one read: all that a second of a stream brings.
const READ_BYTES: usize = 512 * 1024;

/// The measured time: chunks planned within it count. `end_us` itself lies outside.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Its begin.
    pub begin_us: u64,
    /// Its end.
    pub end_us: u64,
}

/// What every viewer of a run knows.
#[derive(Debug, Clone)]
pub struct Watching {
    /// Bytes that each chunk's payload must have.
    pub chunk_bytes: usize,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// The time between two planned chunks, at least.
    pub interval_us: u64,
    /// The clock of planned times.
    pub clock: MediaClock,
    /// What carries chunks to viewers.
    pub transport: Transport,
    /// Whether viewers' threads never sleep: a server on the same machine need not wake them then.
    pub awake: bool,
    /// The network namespace where viewers are, unless they are where this process is.
    pub namespace: Option<PathBuf>,
    /// Set once all viewers have joined.
    pub window: Arc<OnceLock<Window>>,
}

impl Watching {
    /// How long a thread waits while nothing comes.
    const fn idle(&self) -> Duration {
        if self.awake { Duration::ZERO } else { IDLE }
    }
}

/// Viewers that have joined, on threads of their own.
#[derive(Debug)]
pub struct Crowd {
    threads: Vec<JoinHandle<Result<Vec<Seen>>>>,
}

impl Crowd {
    /// Lets a viewer in at each of `doors`, on `threads` threads, one after the other on each, and returns when each has its first
    /// chunk.
    ///
    /// # Errors
    /// When one is refused, or gets nothing.
    pub fn join(doors: Vec<Door>, threads: usize, watching: &Watching) -> Result<Self> {
        let threads = threads.clamp(1, doors.len().max(1));
        let mut shares: Vec<Vec<Door>> = (0..threads).map(|_| Vec::new()).collect();
        for (number, door) in doors.into_iter().enumerate() {
            shares[number % threads].push(door);
        }
        let (joined, all_joined) = mpsc::channel();
        let begin = |share: Vec<Door>| {
            let (watching, joined) = (watching.clone(), joined.clone());
            thread::Builder::new().name("viewers".into()).spawn(move || {
                if let Some(path) = &watching.namespace {
                    namespace::enter(path)?;
                }
                if watching.transport == Transport::WebTransport {
                    return sessions::watch(&share, &watching, joined);
                }
                let mut row = Row::join(&share, &watching)?;
                // Whoever waits for it may have given up; the window never begins then.
                let _ = joined.send(());
                drop(joined);
                row.watch()?;
                Ok(row.leave())
            })
        };
        let handles = shares.into_iter().map(begin).collect::<std::io::Result<Vec<_>>>()?;
        drop(joined);
        let crowd = Self { threads: handles };
        if all_joined.iter().count() < threads {
            crowd.leave()?;
            return Err(anyhow!("viewers left before they were measured"));
        }
        Ok(crowd)
    }

    /// Waits until the measured time is over for all of them.
    ///
    /// # Errors
    /// When one was turned away, or its connection broke.
    pub fn leave(self) -> Result<Vec<Seen>> {
        let mut all = Vec::new();
        for thread in self.threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread of viewers has panicked"))??);
        }
        Ok(all)
    }
}

/// The viewers of one thread.
struct Row {
    poll: Poll,
    places: Vec<(Line, Viewer)>,
    watching: Watching,
    read: Vec<u8>,
}

impl Row {
    fn join(doors: &[Door], watching: &Watching) -> Result<Self> {
        let mut row = Self {
            poll: Poll::new()?,
            places: Vec::with_capacity(doors.len()),
            watching: watching.clone(),
            read: vec![0; READ_BYTES],
        };
        let mut events = Events::with_capacity(1024);
        for door in doors {
            let mut line = door.enter()?;
            let token = Token(row.places.len());
            row.poll.registry().register(line.source(), token, Interest::READABLE)?;
            row.places.push((line, Viewer::new(watching)));
            row.turn(token.0)?;
            row.take(&mut events, Duration::ZERO)?;
        }
        let begun = Instant::now();
        while row.places.iter().any(|(_, viewer)| !viewer.has_begun()) {
            ensure!(begun.elapsed() < JOIN_TIME_MAX, "no chunk reaches a viewer");
            row.take(&mut events, watching.idle())?;
        }
        Ok(row)
    }

    /// Until the measured time is over for all.
    fn watch(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            self.take(&mut events, self.watching.idle())?;
            let Some(window) = self.watching.window.get() else { continue };
            let now_us = self.watching.clock.now_us();
            if now_us < window.end_us || self.places.iter().any(|(_, viewer)| !viewer.is_past(window.end_us)) {
                let late_us = now_us.saturating_sub(window.end_us);
                let given_up = u128::from(late_us) > DELIVERY_TIME_MAX.as_micros();
                ensure!(!given_up, "viewers still wait for chunks long after they were sent");
                continue;
            }
            return Ok(());
        }
    }

    fn take(&mut self, events: &mut Events, wait: Duration) -> Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            self.turn(event.token().0)?;
        }
        Ok(())
    }

    /// Reads all that one viewer was sent: connections are watched edge by edge.
    fn turn(&mut self, place: usize) -> Result<()> {
        let (line, viewer) = self.places.get_mut(place).context("no such viewer")?;
        while let Some(bytes) = line.read(&mut self.read)? {
            viewer.take(bytes, line)?;
        }
        Ok(())
    }

    fn leave(self) -> Vec<Seen> {
        // A relay that is told nothing more would go on sending: the connections are simply dropped.
        self.places.into_iter().map(|(_, viewer)| viewer.seen()).collect()
    }
}
