//! One of the many: counts what it is sent within the measured time.

use anyhow::{Result, bail};
use protocol::{MediaHeader, MediaKind, control::ToViewer, media_message::MEDIA_HEADER_BYTES};

use crate::{
    crowd::{
        Watching,
        line::Line,
        message_reader::{Message, MessageReader},
    },
    latencies::Latencies,
    order::Order,
};

/// What one viewer was sent.
#[derive(Debug)]
pub struct Seen {
    /// Chunks whose planned time lies in the window.
    pub chunks: u64,
    /// Their bytes, with their headers.
    pub bytes: u64,
    /// From their planned time of sending until their last byte was read.
    pub latencies: Latencies,
    /// Chunks that were left out or out of order since the last one before the window.
    pub order: Order,
    /// Times the relay said since then that the viewer had fallen behind.
    pub skips: u64,
    /// The longest time between two chunks within the window.
    pub gap_us_max: u64,
}

/// A viewer, without its connection.
#[derive(Debug)]
pub struct Viewer {
    reader: MessageReader,
    counter: Counter,
}

#[derive(Debug)]
struct Counter {
    watching: Watching,
    seen: Seen,
    /// The planned time of the newest chunk.
    newest_us: Option<u64>,
    /// When the newest chunk within the window came.
    came_at_us: Option<u64>,
}

impl Viewer {
    /// One that was sent nothing yet.
    #[must_use]
    pub fn new(watching: &Watching) -> Self {
        let seen = Seen {
            chunks: 0,
            bytes: 0,
            latencies: Latencies::default(),
            order: Order::new(watching.key_interval),
            skips: 0,
            gap_us_max: 0,
        };
        let counter = Counter { watching: watching.clone(), seen, newest_us: None, came_at_us: None };
        Self { reader: MessageReader::default(), counter }
    }

    /// Takes what has come over `line`.
    ///
    /// # Errors
    /// When the viewer is turned away, or a chunk is not what was sent.
    pub fn take(&mut self, bytes: &[u8], line: &mut Line) -> Result<()> {
        let Self { reader, counter } = self;
        reader.take(bytes, |message| match message {
            Message::Media(header, len) => counter.media(header, len),
            Message::Text(text) => counter.text(text),
            Message::Ping(payload) => line.pong(payload),
            Message::Close => bail!("the relay has closed"),
        })
    }

    /// Takes a media message that has come whole.
    ///
    /// # Errors
    /// When it is not what was sent.
    pub fn media(&mut self, message: &[u8]) -> Result<()> {
        self.counter.media(message, message.len() as u64)
    }

    /// Takes a control message.
    ///
    /// # Errors
    /// When the viewer is turned away, or the stream has ended.
    pub fn text(&mut self, text: &[u8]) -> Result<()> {
        self.counter.text(text)
    }

    /// Whether its first chunk has come.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.counter.newest_us.is_some()
    }

    /// Whether it has had all that was planned before `end_us`: what follows the newest is planned for later.
    #[must_use]
    pub fn is_past(&self, end_us: u64) -> bool {
        self.counter.newest_us.is_some_and(|newest_us| newest_us + self.counter.watching.interval_us >= end_us)
    }

    /// What it was sent.
    #[must_use]
    pub fn seen(self) -> Seen {
        self.counter.seen
    }
}

impl Counter {
    fn text(&mut self, text: &[u8]) -> Result<()> {
        match serde_json::from_slice(text)? {
            ToViewer::Error { code, message } => bail!("the relay turns a viewer away: {message} ({code})"),
            ToViewer::StreamEnded {} => bail!("the stream ended while it was measured"),
            ToViewer::Skipped { .. } => self.seen.skips += 1,
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, header: &[u8], len: u64) -> Result<()> {
        let (header, _) = MediaHeader::decode(header)?;
        if header.kind != MediaKind::Chunk {
            return Ok(());
        }
        let payload = len.saturating_sub(MEDIA_HEADER_BYTES as u64);
        if payload != self.watching.chunk_bytes as u64 {
            bail!("a chunk of {} bytes arrived as {payload}", self.watching.chunk_bytes);
        }
        let planned_us = header.captured_at_us;
        self.newest_us = Some(planned_us);
        let is_early = self.watching.window.get().is_none_or(|window| planned_us < window.begin_us);
        if is_early && self.seen.chunks == 0 {
            // Whoever joins begins in the past, and may be skipped forward from there: no loss of the measured time.
            self.seen.order = Order::new(self.watching.key_interval);
            self.seen.skips = 0;
        }
        self.seen.order.take(header.segment, header.chunk);
        if let Some(window) = self.watching.window.get()
            && (window.begin_us..window.end_us).contains(&planned_us)
        {
            let now_us = self.watching.clock.now_us();
            self.seen.chunks += 1;
            self.seen.bytes += len;
            self.seen.latencies.add(now_us.saturating_sub(planned_us));
            if let Some(before_us) = self.came_at_us.replace(now_us) {
                self.seen.gap_us_max = self.seen.gap_us_max.max(now_us.saturating_sub(before_us));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use protocol::TrackNumber;

    use super::*;
    use crate::{crowd::Window, media_clock::MediaClock, transport::Transport};

    const INTERVAL_US: u64 = 10_000;

    fn viewer() -> (Viewer, u64) {
        let clock = MediaClock::start();
        let begin_us = clock.now_us();
        let window = Window { begin_us, end_us: begin_us + 3 * INTERVAL_US };
        let watching = Watching {
            chunk_bytes: 100,
            key_interval: 60,
            interval_us: INTERVAL_US,
            clock,
            transport: Transport::WebSocket,
            awake: false,
            namespace: None,
            window: Arc::new(OnceLock::from(window)),
        };
        (Viewer::new(&watching), begin_us)
    }

    fn chunk(viewer: &mut Viewer, chunk: u32, captured_at_us: u64, payload: u64) -> Result<()> {
        let kind = MediaKind::Chunk;
        let track = TrackNumber(1);
        let header = MediaHeader { kind, key: chunk == 0, sealed: false, track, segment: 0, chunk, captured_at_us };
        viewer.counter.media(&header.message(&[0]), payload + MEDIA_HEADER_BYTES as u64)
    }

    #[test]
    fn only_chunks_planned_within_the_window_count() {
        let (mut viewer, begin_us) = viewer();
        for n in 0..5 {
            chunk(&mut viewer, n, begin_us - INTERVAL_US + u64::from(n) * INTERVAL_US, 100).unwrap();
        }
        let seen = viewer.seen();
        assert_eq!((seen.chunks, seen.bytes, seen.latencies.len()), (3, 3 * 120, 3));
        assert_eq!((seen.order.missing, seen.order.disorder), (0, 0));
    }

    #[test]
    fn what_is_left_out_counts_from_the_last_chunk_before_the_window_on() {
        let skipped = br#"{"type":"skipped","track":1,"chunks":4}"#;
        let (mut viewer, begin_us) = viewer();
        chunk(&mut viewer, 0, begin_us - 9 * INTERVAL_US, 100).unwrap();
        viewer.text(skipped).unwrap();
        chunk(&mut viewer, 5, begin_us - INTERVAL_US, 100).unwrap();
        viewer.text(skipped).unwrap();
        chunk(&mut viewer, 10, begin_us, 100).unwrap();
        chunk(&mut viewer, 12, begin_us + INTERVAL_US, 100).unwrap();
        // One that came late hides nothing.
        chunk(&mut viewer, 4, begin_us - 2 * INTERVAL_US, 100).unwrap();
        let seen = viewer.seen();
        assert_eq!((seen.skips, seen.order.missing, seen.order.disorder), (1, 5, 1));
    }

    #[test]
    fn a_viewer_is_done_once_what_follows_is_planned_for_after_the_window() {
        let (mut viewer, begin_us) = viewer();
        let end_us = begin_us + 3 * INTERVAL_US;
        assert!(!viewer.has_begun() && !viewer.is_past(end_us));
        chunk(&mut viewer, 0, end_us - INTERVAL_US - 1, 100).unwrap();
        assert!(viewer.has_begun() && !viewer.is_past(end_us));
        chunk(&mut viewer, 1, end_us - 1, 100).unwrap();
        assert!(viewer.is_past(end_us));
    }

    #[test]
    fn a_chunk_of_another_length_is_an_error() {
        let (mut viewer, begin_us) = viewer();
        assert!(chunk(&mut viewer, 0, begin_us, 99).is_err());
    }
}
