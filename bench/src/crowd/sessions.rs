//! Viewers over WebTransport: all of a thread in one runtime, each with a UDP socket of its own, as people have.

use std::{sync::mpsc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::{PROTOCOL_VERSION, control::ClientHello};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use webtransport::{Client, Control, Inbox, Trust};

use super::{DELIVERY_TIME_MAX, IDLE, JOIN_TIME_MAX, Watching, door::Door};
use crate::viewer::{Seen, Viewer};

/// How long a session may take to open.
const OPEN_TIME_MAX: Duration = Duration::from_secs(10);

/// Lets a viewer in at each of `doors`, one after the other, says so to `joined` when each has its first chunk, and returns what they
/// have seen when the measured time is over for all.
///
/// # Errors
/// When one is turned away, gets nothing, or its session breaks.
pub(super) fn watch(doors: &[Door], watching: &Watching, joined: mpsc::Sender<()>) -> Result<Vec<Seen>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut viewers = JoinSet::new();
        let (begun, mut have_begun) = unbounded_channel();
        for door in doors {
            let place =
                timeout(OPEN_TIME_MAX, Place::take(door, watching)).await.context("a session does not open")??;
            viewers.spawn(place.watch(begun.clone()));
        }
        drop(begun);
        let mut count = 0;
        while count < doors.len() {
            match timeout(JOIN_TIME_MAX, have_begun.recv()).await.context("no chunk reaches a viewer")? {
                Some(()) => count += 1,
                None => break,
            }
        }
        if count < doors.len() {
            // One has ended: its own error says why.
            while let Some(seen) = viewers.join_next().await {
                seen??;
            }
            bail!("a viewer has left");
        }
        // Whoever waits for it may have given up; the window never begins then.
        let _ = joined.send(());
        drop(joined);
        let mut all = Vec::with_capacity(doors.len());
        while let Some(seen) = viewers.join_next().await {
            all.push(seen??);
        }
        Ok(all)
    })
}

/// A viewer with its session.
struct Place {
    control: Control,
    inbox: Inbox,
    viewer: Viewer,
    watching: Watching,
    /// The socket is its own.
    _client: Client,
}

impl Place {
    async fn take(door: &Door, watching: &Watching) -> Result<Self> {
        let address = door.webtransport.as_ref().context("the relay offers no WebTransport")?;
        let trust = match &door.tls {
            Some(tls) => Trust::of(address, tls),
            None => Trust::Hashes(address.certificate_hashes.clone()),
        };
        let client = Client::new(&trust)?;
        let session = client.connect(&address.url).await?;
        let mut control = session.open_control().await?;
        let hello = ClientHello::WatchStream { protocol: PROTOCOL_VERSION, ticket: door.ticket.clone() };
        control.send(&serde_json::to_string(&hello)?).await?;
        Ok(Self {
            control,
            inbox: session.inbox(),
            viewer: Viewer::new(watching),
            watching: watching.clone(),
            _client: client,
        })
    }

    async fn watch(mut self, begun: UnboundedSender<()>) -> Result<Seen> {
        let mut begun = Some(begun);
        let mut look = interval(IDLE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                media = self.inbox.next() => {
                    let (_, message) = media?;
                    self.viewer.media(&message)?;
                }
                words = self.control.exchange() => self.viewer.text(words?.as_bytes())?,
                _ = look.tick() => {
                    if self.is_over()? {
                        return Ok(self.viewer.seen());
                    }
                }
            }
            if self.viewer.has_begun()
                && let Some(begun) = begun.take()
            {
                let _ = begun.send(());
            }
        }
    }

    /// Whether the measured time is over.
    fn is_over(&self) -> Result<bool> {
        let Some(window) = self.watching.window.get() else { return Ok(false) };
        let now_us = self.watching.clock.now_us();
        if now_us < window.end_us {
            return Ok(false);
        }
        let late_us = u128::from(now_us - window.end_us);
        ensure!(late_us <= DELIVERY_TIME_MAX.as_micros(), "a viewer still waits for chunks long after they were sent");
        Ok(self.viewer.is_past(window.end_us))
    }
}
