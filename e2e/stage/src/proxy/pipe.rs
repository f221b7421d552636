//! One direction of a connection: bytes wait in a bounded queue until the weather lets them arrive.

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{ReadHalf, WriteHalf},
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Way, Weather};

/// Bytes under way where nothing is throttled: what a path with a delay holds.
const UNDER_WAY_BYTES_MAX: usize = 256 * 1024;

/// A throttled path queues for this long: a small router.
const QUEUE_TIME: Duration = Duration::from_millis(200);

/// Bytes read and written at once: small, so that a throttled connection trickles instead of coming in blows.
const PIECE_BYTES: usize = 4096;

/// How much a throttled path may make up for a timer that came late.
const CATCH_UP_TIME_MAX: Duration = Duration::from_millis(10);

/// How often a connection is given another lateness, where connections are reordered.
const LATENESS_TIME: Duration = Duration::from_millis(200);

/// Which way bytes go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Direction {
    const fn of(self, weather: &Weather) -> Way {
        match self {
            Self::Up => weather.up,
            Self::Down => weather.down,
        }
    }
}

/// Bytes that are under way.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    sent: usize,
    begun: Instant,
    late: Duration,
}

#[derive(Debug)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    ended: bool,
    /// When a throttled path has room for the next byte.
    free_at: Instant,
    lateness: (Instant, Duration),
}

impl Queue {
    fn new() -> Self {
        let now = Instant::now();
        Self { pieces: VecDeque::new(), bytes: 0, ended: false, free_at: now, lateness: (now, Duration::ZERO) }
    }

    fn has_room(&self, way: &Way) -> bool {
        let room = way.bytes_per_second.map_or(UNDER_WAY_BYTES_MAX, |rate| {
            let held = (QUEUE_TIME + way.delay).as_secs_f64() * rate as f64;
            (held as usize).clamp(PIECE_BYTES, UNDER_WAY_BYTES_MAX)
        });
        !self.ended && self.bytes < room
    }

    fn take(&mut self, bytes: &[u8], reorder: Duration) {
        let now = Instant::now();
        if self.lateness.0 <= now {
            self.lateness = (now + LATENESS_TIME, reorder.mul_f64(rand::random()));
        }
        self.ended = bytes.is_empty();
        self.bytes += bytes.len();
        if !bytes.is_empty() {
            self.pieces.push_back(Piece { bytes: bytes.to_vec(), sent: 0, begun: now, late: self.lateness.1 });
        }
    }

    /// When the first of it may arrive.
    fn due(&self, way: &Way) -> Option<Instant> {
        let piece = self.pieces.front()?;
        let due = piece.begun + way.delay + piece.late;
        Some(if way.bytes_per_second.is_some() { due.max(self.free_at) } else { due })
    }

    /// Lets the first of it arrive; how much. May be given up at any moment.
    async fn deliver(&self, to: &mut WriteHalf<'_>, due: Option<Instant>) -> io::Result<usize> {
        let (Some(piece), Some(due)) = (self.pieces.front(), due) else { return std::future::pending().await };
        sleep_until(due).await;
        to.write(piece.bytes.get(piece.sent..).unwrap_or_default()).await
    }

    fn delivered(&mut self, count: usize, way: &Way) {
        self.bytes -= count;
        if let Some(piece) = self.pieces.front_mut() {
            piece.sent += count;
            if piece.sent == piece.bytes.len() {
                self.pieces.pop_front();
            }
        }
        if let Some(rate) = way.bytes_per_second {
            let earliest = Instant::now().checked_sub(CATCH_UP_TIME_MAX).unwrap_or(self.free_at);
            self.free_at = self.free_at.max(earliest) + Duration::from_secs_f64(count as f64 / rate.max(1) as f64);
        }
    }
}

/// Carries bytes until they end, and then the end.
pub(super) async fn pipe(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    direction: Direction,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut queue = Queue::new();
    let mut buffer = vec![0; PIECE_BYTES];
    while !queue.ended || !queue.pieces.is_empty() {
        let now = *weather.borrow_and_update();
        let way = direction.of(&now);
        let due = queue.due(&way).filter(|_| !way.black_hole);
        tokio::select! {
            changed = weather.changed() => changed.map_err(io::Error::other)?,
            read = from.read(&mut buffer), if queue.has_room(&way) && !way.black_hole => {
                queue.take(buffer.get(..read?).unwrap_or_default(), now.reorder);
            }
            written = queue.deliver(&mut to, due) => {
                let written = written?;
                queue.delivered(written, &way);
                count.fetch_add(written as u64, Ordering::Relaxed);
            }
        }
    }
    to.shutdown().await
}
