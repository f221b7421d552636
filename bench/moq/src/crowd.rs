//! The viewers: all in one runtime, each with a connection of its own.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use moq_net::track::Subscription;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

use crate::{
    latencies::Latencies,
    order::Order,
    stream::{BROADCAST, Head, Stream, TRACK},
};

/// How long a viewer's connection may take, and how long it may wait for its first chunk.
const JOIN_TIME_MAX: Duration = Duration::from_secs(15);

/// How long a viewer may wait for a chunk.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(5);

/// How late a segment may be before it is left out: none is, as long as the relay keeps up.
const LATE_TIME_MAX: Duration = Duration::from_secs(10);

/// The measured time: chunks planned within it count. `end_us` itself lies outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) begin_us: u64,
    pub(crate) end_us: u64,
}

/// What one viewer was sent within it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) chunks: u64,
    pub(crate) latencies: Latencies,
    pub(crate) order: Order,
}

/// Viewers that have joined.
pub(crate) struct Crowd {
    viewers: JoinSet<Result<Seen>>,
    window: Arc<OnceLock<Window>>,
}

impl Crowd {
    /// Lets viewers in one after the other, and waits until each has its first chunk.
    pub(crate) async fn join(stream: &Stream, count: u32) -> Result<Self> {
        let window = Arc::new(OnceLock::new());
        let (begun, mut have_begun) = unbounded_channel();
        let mut viewers = JoinSet::new();
        for _ in 0..count {
            let viewer = Viewer { stream: stream.clone(), window: Arc::clone(&window), begun: begun.clone() };
            viewers.spawn(viewer.watch());
            tokio::select! {
                come = timeout(JOIN_TIME_MAX, have_begun.recv()) => {
                    come.context("no chunk reaches a viewer")?.context("a viewer has left")?;
                }
                Some(left) = viewers.join_next() => {
                    left??;
                    bail!("a viewer has left");
                }
            }
        }
        Ok(Self { viewers, window })
    }

    /// Begins to measure.
    pub(crate) fn begin(&self, window: Window) -> Result<()> {
        self.window.set(window).ok().context("one window per run")
    }

    /// Waits until each viewer has had all of the window.
    pub(crate) async fn leave(mut self) -> Result<Vec<Seen>> {
        let mut all = Vec::new();
        while let Some(seen) = self.viewers.join_next().await {
            all.push(seen??);
        }
        Ok(all)
    }
}

struct Viewer {
    stream: Stream,
    window: Arc<OnceLock<Window>>,
    begun: UnboundedSender<()>,
}

impl Viewer {
    async fn watch(self) -> Result<Seen> {
        let Self { stream, window, begun } = self;
        let origin = moq_tokio::origin::spawn();
        let consumer = origin.consume();
        let _connection = stream.subscribe(origin).await?;
        let broadcast = timeout(JOIN_TIME_MAX, consumer.routed_broadcast(BROADCAST)).await??;
        let subscription = Subscription::default().with_max_age(LATE_TIME_MAX);
        let mut track = broadcast.track(TRACK)?.subscribe(subscription).await?;
        let mut seen = Seen { chunks: 0, latencies: Latencies::default(), order: Order::new(stream.key_interval) };
        let mut begun = Some(begun);
        loop {
            let next = timeout(CHUNK_TIME_MAX, track.recv_group()).await.context("a viewer waits for a segment")?;
            let mut group = next?.context("the stream has ended")?;
            while let Some(frame) =
                timeout(CHUNK_TIME_MAX, group.read_frame()).await.context("a viewer waits for a chunk")??
            {
                let now_us = stream.clock.now_us();
                let bytes = frame.payload.len();
                ensure!(bytes == stream.chunk_bytes, "a chunk of {} bytes arrived as {bytes}", stream.chunk_bytes);
                let head = Head::of(&frame.payload).context("a chunk without a head")?;
                seen.order.take(head.segment, head.chunk);
                if let Some(begun) = begun.take() {
                    let _ = begun.send(());
                }
                let Some(window) = window.get() else { continue };
                if (window.begin_us..window.end_us).contains(&head.planned_us) {
                    seen.chunks += 1;
                    seen.latencies.add(now_us.saturating_sub(head.planned_us));
                } else if head.planned_us >= window.end_us {
                    return Ok(seen);
                }
            }
        }
    }
}
