//! Sends the stream, from a thread of its own, as relay_load does.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use moq_net::Timestamp;
use tokio::{
    sync::oneshot,
    time::{sleep_until, timeout},
};

use crate::{
    latencies::Latencies,
    media_clock::Pace,
    stream::{BROADCAST, Head, Stream, TRACK},
};

/// How long the relay may take to admit the publisher.
const REGISTER_TIME_MAX: Duration = Duration::from_secs(5);

/// What was sent.
#[derive(Debug)]
pub(crate) struct Published {
    /// When the chunks were planned.
    pub(crate) pace: Pace,
    /// How late they were sent.
    pub(crate) late: Latencies,
}

/// Sends until `stop` says so; tells `begun` when the relay has admitted it.
pub(crate) fn publish(
    stream: Stream,
    begun: oneshot::Sender<()>,
    stop: oneshot::Receiver<()>,
) -> Result<JoinHandle<Result<Published>>> {
    let send = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(&stream, begun, stop))
    };
    Ok(thread::Builder::new().name("publisher".into()).spawn(send)?)
}

async fn run(stream: &Stream, begun: oneshot::Sender<()>, mut stop: oneshot::Receiver<()>) -> Result<Published> {
    let origin = moq_tokio::origin::spawn();
    let broadcast = origin.create_broadcast(BROADCAST)?;
    let track = broadcast.create_track(TRACK, None)?;
    broadcast.announce(Default::default())?;
    let open = timeout(REGISTER_TIME_MAX, stream.publish(&origin)).await;
    let _connection = open.context("the relay does not answer")??;
    let pace = Pace::from(stream.clock.now_us(), Duration::ZERO, stream.rate, stream.key_interval);
    // Whoever waits for it may have given up; `stop` is closed then.
    let _ = begun.send(());
    let mut late = Latencies::default();
    let mut group = None;
    for n in 0.. {
        let planned = pace.planned(n);
        tokio::select! {
            biased;
            () = sleep_until(stream.clock.instant(planned.at_us).into()) => {}
            _ = &mut stop => break,
        }
        late.add(stream.clock.now_us().saturating_sub(planned.at_us));
        if planned.chunk == 0
            && let Some(over) = group.replace(track.append_group()?)
        {
            over.finish()?;
        }
        let head = Head { planned_us: planned.at_us, segment: planned.segment, chunk: planned.chunk };
        let group = group.as_mut().context("a segment begins with its first chunk")?;
        group.write_frame(Timestamp::from_micros(planned.at_us)?, stream.chunk(head))?;
    }
    broadcast.close();
    Ok(Published { pace, late })
}
