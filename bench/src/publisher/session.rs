//! The same over WebTransport: each segment is a stream.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use protocol::{
    MediaKind,
    control::{FromBroadcaster, ToBroadcaster},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant, sleep_until, timeout},
};
use webtransport::{Client, Control, Outbox, Outgoing, Session, Trust};

use super::{Published, Publisher, REGISTER_TIME_MAX, Sent, TRACK, heard, stopped};
use crate::media_clock::Pace;

/// How long the relay may take to hear that the stream has ended.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// An admitted publisher.
struct Line {
    session: Session,
    control: Control,
    outbox: Outbox,
    /// The socket is its own.
    _client: Client,
}

impl Publisher {
    /// [`Publisher::run`] over WebTransport.
    pub(super) async fn run_session(
        self,
        offset: Duration,
        registered: mpsc::UnboundedSender<()>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Published> {
        let mut line = timeout(REGISTER_TIME_MAX, self.open()).await.context("the relay does not answer")??;
        let mut init = Some(Bytes::from(self.media(MediaKind::Init, None)));
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
                        line.end().await;
                        return Ok(published);
                    }
                    words = line.control.exchange() => heard(&words?)?,
                    sent = line.outbox.flush(), if !line.outbox.is_empty() => sent?,
                }
            }
            let late_us = self.clock.now_us().saturating_sub(planned.at_us);
            published.sent.push(Sent { planned_us: planned.at_us, late_us });
            line.outbox.push(Outgoing {
                track: TRACK,
                sound: false,
                segment: planned.segment,
                key: planned.chunk == 0,
                init: init.take(),
                chunk: self.media(MediaKind::Chunk, Some(planned)).into(),
                arrived: Instant::now(),
            });
            line.outbox.take_sent().for_each(drop);
        }
        Ok(published)
    }

    async fn open(&self) -> Result<Line> {
        let address = self.webtransport.as_ref().context("the relay offers no WebTransport")?;
        let trust = match &self.tls {
            Some(tls) => Trust::of(address, tls),
            None => Trust::Hashes(address.certificate_hashes.clone()),
        };
        let client = Client::new(&trust)?;
        let session = client.connect(&address.url).await?;
        let mut control = session.open_control().await?;
        control.send(&serde_json::to_string(&self.hello())?).await?;
        loop {
            match serde_json::from_str(&control.receive().await?)? {
                ToBroadcaster::StreamRegistered { .. } => break,
                ToBroadcaster::Error { code, message } => bail!("the relay refuses the stream: {message} ({code})"),
                _ => {}
            }
        }
        let outbox = session.outbox();
        Ok(Line { session, control, outbox, _client: client })
    }
}

impl Line {
    /// Tells that all is over. Viewers have gone by now: what they were sent is not held up by a relay that does not hear it.
    async fn end(mut self) {
        if let Ok(words) = serde_json::to_string(&FromBroadcaster::EndStream {}) {
            let _ = timeout(END_TIME_MAX, self.outbox.finish()).await;
            self.control.say_last(&[words], END_TIME_MAX).await;
        }
        self.session.close(0, "over");
    }
}
