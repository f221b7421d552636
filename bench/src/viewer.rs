//! One of the many: joins, counts what it is sent within the measured time, and leaves.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    MediaHeader, MediaKind, PROTOCOL_VERSION, Secret,
    control::{ClientHello, ToViewer},
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::{
    latencies::Latencies,
    media_clock::MediaClock,
    order::Order,
    socket::{Socket, connect},
};

/// How long a viewer may wait for its first chunk.
const JOIN_TIME_MAX: Duration = Duration::from_secs(15);

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
    /// The relay.
    pub relay: Url,
    /// A ticket for watching.
    pub ticket: Secret,
    /// Bytes that each chunk's payload must have.
    pub chunk_bytes: usize,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// The clock of planned times.
    pub clock: MediaClock,
    /// Set once all viewers have joined.
    pub window: Arc<OnceLock<Window>>,
}

/// What one viewer was sent.
#[derive(Debug)]
pub struct Seen {
    /// Chunks whose planned time lies in the window.
    pub chunks: u64,
    /// Their bytes, with their headers.
    pub bytes: u64,
    /// From their planned time of sending until their last byte was read.
    pub latencies: Latencies,
    /// Chunks that were left out or out of order while the viewer watched.
    pub order: Order,
    /// Times the relay said that the viewer had fallen behind.
    pub skips: u64,
}

/// A viewer that has joined: its first chunk has come.
#[derive(Debug)]
pub struct Viewer {
    watching: Watching,
    socket: Socket,
    seen: Seen,
}

impl Viewer {
    /// Joins, and reads up to the first chunk.
    ///
    /// # Errors
    /// When the relay refuses, or sends nothing.
    pub async fn join(watching: Watching) -> Result<Self> {
        let order = Order::new(watching.key_interval);
        let seen = Seen { chunks: 0, bytes: 0, latencies: Latencies::default(), order, skips: 0 };
        let join = async {
            let mut socket = connect(&watching.relay).await?;
            let ticket = watching.ticket.clone();
            let hello = ClientHello::WatchStream { protocol: PROTOCOL_VERSION, ticket };
            socket.send(Message::text(serde_json::to_string(&hello)?)).await?;
            let mut viewer = Self { watching, socket, seen };
            while viewer.next_chunk().await?.is_none() {}
            Ok(viewer)
        };
        timeout(JOIN_TIME_MAX, join).await.context("no chunk reaches a viewer")?
    }

    /// Watches until the window is over.
    ///
    /// # Errors
    /// When the connection breaks, or a chunk is not what was sent.
    pub async fn watch(mut self) -> Result<Seen> {
        loop {
            let Some(planned_us) = self.next_chunk().await? else { continue };
            if self.watching.window.get().is_some_and(|window| planned_us >= window.end_us) {
                // A relay that is told nothing more would go on sending: the connection is simply dropped.
                return Ok(self.seen);
            }
        }
    }

    /// Reads one message; the planned time of the chunk when it was one.
    async fn next_chunk(&mut self) -> Result<Option<u64>> {
        match self.socket.next().await.context("the relay has closed")?? {
            Message::Binary(bytes) => self.media(&bytes),
            Message::Text(text) => match serde_json::from_str(&text)? {
                ToViewer::Error { code, message } => bail!("the relay turns a viewer away: {message} ({code})"),
                ToViewer::StreamEnded {} => bail!("the stream ended while it was measured"),
                ToViewer::Skipped { .. } => {
                    self.seen.skips += 1;
                    Ok(None)
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn media(&mut self, message: &[u8]) -> Result<Option<u64>> {
        let (header, payload) = MediaHeader::decode(message)?;
        if header.kind != MediaKind::Chunk {
            return Ok(None);
        }
        if payload.len() != self.watching.chunk_bytes {
            bail!("a chunk of {} bytes arrived as {}", self.watching.chunk_bytes, payload.len());
        }
        self.seen.order.take(header.segment, header.chunk);
        let planned_us = header.captured_at_us;
        if let Some(window) = self.watching.window.get()
            && (window.begin_us..window.end_us).contains(&planned_us)
        {
            self.seen.chunks += 1;
            self.seen.bytes += message.len() as u64;
            self.seen.latencies.add(self.watching.clock.now_us().saturating_sub(planned_us));
        }
        Ok(Some(planned_us))
    }
}
