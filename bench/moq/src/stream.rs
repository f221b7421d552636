//! What is sent, and how both ends reach the relay.

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use moq_net::origin;
use moq_tokio::{Client, Connection, connect, quic};
use url::Url;

use crate::media_clock::MediaClock;

/// The broadcast and its only track.
pub(crate) const BROADCAST: &str = "load";
pub(crate) const TRACK: &str = "video";

/// Bytes of a chunk that say something: its planned time, its segment and its number therein.
pub(crate) const HEAD_BYTES: usize = 16;

/// The stream of a run.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    relay: Url,
    /// Chunks per second.
    pub(crate) rate: f64,
    /// Chunks of a segment.
    pub(crate) key_interval: u32,
    /// Bytes of a chunk.
    pub(crate) chunk_bytes: usize,
    /// The clock of planned times.
    pub(crate) clock: MediaClock,
}

/// What a chunk's head says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) planned_us: u64,
    pub(crate) segment: u32,
    pub(crate) chunk: u32,
}

impl Stream {
    pub(crate) fn new(relay: Url, rate: f64, key_interval: u32, chunk_bytes: usize) -> Self {
        Self { relay, rate, key_interval, chunk_bytes, clock: MediaClock::start() }
    }

    /// A client with a socket of its own. The relay makes its certificate itself.
    fn client() -> Result<Client> {
        let mut config = connect::Config::default();
        config.tls.insecure = Some(true);
        config.once = Some(true);
        config.bind = Some("127.0.0.1:0".parse()?);
        Ok(config.init(quic::Config::default())?)
    }

    /// A connection that publishes what is in `origin`.
    pub(crate) async fn publish(&self, origin: &origin::Producer) -> Result<(Client, Connection)> {
        let client = Self::client()?.with_publisher(origin);
        let connection = client.connect(self.relay.clone()).established().await?;
        Ok((client, connection))
    }

    /// A connection that brings what the relay has into `origin`.
    pub(crate) async fn subscribe(&self, origin: origin::Producer) -> Result<(Client, Connection)> {
        let client = Self::client()?.with_subscriber(origin);
        let connection = client.connect(self.relay.clone()).established().await?;
        Ok((client, connection))
    }

    /// A chunk.
    pub(crate) fn chunk(&self, head: Head) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.chunk_bytes);
        bytes.put_u64(head.planned_us);
        bytes.put_u32(head.segment);
        bytes.put_u32(head.chunk);
        bytes.resize(self.chunk_bytes, 0xa5);
        bytes.freeze()
    }
}

impl Head {
    /// The head of a chunk; none when it is too short.
    pub(crate) fn of(chunk: &[u8]) -> Option<Self> {
        let (planned_us, rest) = chunk.split_first_chunk::<8>()?;
        let (segment, rest) = rest.split_first_chunk::<4>()?;
        let (number, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            planned_us: u64::from_be_bytes(*planned_us),
            segment: u32::from_be_bytes(*segment),
            chunk: u32::from_be_bytes(*number),
        })
    }
}
