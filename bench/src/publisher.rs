//! Sends the stream: one paced picture track of made-up bytes, which a relay never looks into.

mod line;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use protocol::{
    MediaHeader, MediaKind, PROTOCOL_VERSION, Secret, TrackInfo, TrackKind, TrackNumber, WebTransportAddress,
    control::ClientHello,
};
use rustls::ClientConfig;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep_until, timeout},
};
use url::Url;

use self::line::Line;
use crate::{
    media_clock::{MediaClock, Pace, PlannedChunk},
    transport::Transport,
};

/// How long the relay may take to admit the publisher.
const REGISTER_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of the init segment: about as many as a picture track's `moov` has.
const INIT_BYTES: usize = 1024;

/// The only track.
const TRACK: TrackNumber = TrackNumber(1);

/// What is sent, and where.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The relay.
    pub relay: Url,
    /// Where it is reached by WebTransport, and by what it is to be reached.
    pub webtransport: Option<WebTransportAddress>,
    /// What carries the stream there.
    pub transport: Transport,
    /// A ticket for publishing.
    pub ticket: Secret,
    /// How its certificate is verified, when the address is a `wss:` one.
    pub tls: Option<Arc<ClientConfig>>,
    /// Chunks per second.
    pub rate: f64,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// Bytes of a chunk's payload.
    pub chunk_bytes: usize,
    /// The clock of planned times.
    pub clock: MediaClock,
}

/// What was sent.
#[derive(Debug)]
pub struct Published {
    /// When the chunks were sent.
    pub pace: Pace,
    /// Each chunk that was handed to the connection.
    pub sent: Vec<Sent>,
}

/// One chunk, as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// When it was planned to be.
    pub planned_us: u64,
    /// How long after that it was.
    pub late_us: u64,
}

impl Publisher {
    /// Sends the first chunk at once, the second `offset` later, and so on until `stop` says so; tells `registered` when the relay has admitted it.
    ///
    /// # Errors
    /// When the relay refuses, or the connection breaks.
    pub async fn run(
        self,
        offset: Duration,
        registered: mpsc::UnboundedSender<()>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Published> {
        let open = timeout(REGISTER_TIME_MAX, Line::open(&self)).await;
        let mut line = open.context("the relay does not answer")??;
        line.send(&self, MediaKind::Init, None).await?;
        let pace = Pace::from(self.clock.now_us(), offset, self.rate, self.key_interval);
        let mut published = Published { pace, sent: Vec::new() };
        // Whoever waits for it may have given up; the run ends by `stop` then.
        let _ = registered.send(());
        drop(registered);
        for n in 0.. {
            let planned = pace.planned(n);
            let due = sleep_until(self.clock.instant(planned.at_us).into());
            tokio::pin!(due);
            loop {
                tokio::select! {
                    biased;
                    () = &mut due => break,
                    () = stopped(&mut stop) => {
                        line.end().await?;
                        return Ok(published);
                    }
                    heard = line.exchange() => heard?,
                }
            }
            let late_us = self.clock.now_us().saturating_sub(planned.at_us);
            published.sent.push(Sent { planned_us: planned.at_us, late_us });
            line.send(&self, MediaKind::Chunk, Some(planned)).await?;
        }
        Ok(published)
    }

    fn hello(&self) -> ClientHello {
        let track = TrackInfo {
            track: TRACK,
            kind: TrackKind::Video,
            codec: "avc1.4D401F".into(),
            width: 1280,
            height: 720,
            frame_rate: 30.0,
            sample_rate: 0,
            channels: 0,
        };
        ClientHello::RegisterNewStream { protocol: PROTOCOL_VERSION, ticket: self.ticket.clone(), tracks: vec![track] }
    }

    fn media(&self, kind: MediaKind, planned: Option<PlannedChunk>) -> Vec<u8> {
        let planned = planned.unwrap_or(PlannedChunk { segment: 0, chunk: 0, at_us: self.clock.now_us() });
        let header = MediaHeader {
            kind,
            key: kind == MediaKind::Chunk && planned.chunk == 0,
            sealed: false,
            track: TRACK,
            segment: planned.segment,
            chunk: planned.chunk,
            captured_at_us: planned.at_us,
        };
        let bytes = match kind {
            MediaKind::Init => INIT_BYTES,
            MediaKind::Chunk => self.chunk_bytes,
        };
        header.message(&vec![0xa5; bytes])
    }
}

/// Returns when the run is over.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error: whoever would say so has gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
