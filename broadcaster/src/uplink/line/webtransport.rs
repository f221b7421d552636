//! A WebTransport session with a relay: each segment of each track on a stream of its own. What is left out is decided by the queue; what
//! is under way of it is reset.

use std::time::{Duration, Instant};

use protocol::{MediaHeader, WebTransportAddress, control::ToBroadcaster};
use tokio::time::timeout;
use webtransport::{Client, Control, ControlError, Outbox, Outgoing, Session, Trust, tuning::SEND_SLACK_BYTES};

use super::{Cargo, GOODBYE_TIME_MAX, LineEnd, text, understood};
use crate::{
    authorities::Authorities,
    outbox::{Lane, Work},
    package::packager::SOUND_TRACK,
    uplink::flight::Flight,
};

/// Bytes that may wait before QUIC takes them, so that it never runs dry: what waits in the queue can still be left out without a reset. A
/// tenth of a second at 2.5 Mbit/s, as QUIC itself may hold.
const AHEAD_BYTES_MAX: usize = SEND_SLACK_BYTES as usize;

/// While nothing waits, what QUIC took so long before has arrived, or was given up by the relay: as long as what QUIC may hold beyond what is
/// in flight takes at the least bitrate, and a confirmation.
const SETTLED_TIME: Duration = Duration::from_millis(1_500);

/// How long the last chunks may take to arrive, and then the last words: half of a goodbye each.
const LAST_TIME_MAX: Duration = Duration::from_millis(GOODBYE_TIME_MAX.as_millis() as u64 / 2);

/// An open session.
pub(in crate::uplink) struct WebTransportLine {
    session: Session,
    control: Control,
    outbox: Outbox,
    /// Segments before this one were given up.
    segment_first: u32,
    /// It carries the session.
    _client: Client,
}

impl WebTransportLine {
    /// Connects. Takes as long as it takes.
    pub(in crate::uplink) async fn open(
        address: &WebTransportAddress,
        authorities: &Authorities,
    ) -> Result<Self, String> {
        let trust = match address.certificate_hashes.as_slice() {
            [] => Trust::Authorities(authorities.quic().await?),
            hashes => Trust::Hashes(hashes.to_vec()),
        };
        let client = Client::new(&trust).map_err(|error| error.to_string())?;
        let session = client.connect(&address.url).await.map_err(|error| error.to_string())?;
        let control = session.open_control().await.map_err(|error| error.to_string())?;
        let outbox = session.outbox();
        Ok(Self { session, control, outbox, segment_first: 0, _client: client })
    }

    pub(super) async fn say(&mut self, text: &str) -> Result<(), LineEnd> {
        self.control.send(text).await.map_err(end_of)
    }

    pub(super) async fn receive(&mut self) -> Result<Option<ToBroadcaster>, LineEnd> {
        understood(&self.control.receive().await.map_err(end_of)?)
    }

    pub(super) async fn carry(&mut self, cargo: &mut Cargo<'_>) -> LineEnd {
        loop {
            if let Err(end) = self.go_on(cargo).await {
                return end;
            }
        }
    }

    async fn go_on(&mut self, cargo: &mut Cargo<'_>) -> Result<(), LineEnd> {
        let Cargo { lane, flight, says, ear } = cargo;
        let has_room = self.outbox.waiting_bytes() < AHEAD_BYTES_MAX;
        tokio::select! {
            biased; // a relay says why before it breaks off
            words = self.control.exchange() => {
                let message = understood(&words.map_err(end_of)?)?;
                self.settle(flight);
                ear.heard(message).await;
            }
            Some(message) = says.recv() => self.control.queue(&text(&message)).map_err(end_of)?,
            work = lane.work(has_room, self.segment_first) => match work {
                Work::Next(next) => {
                    flight.handed(next.chunk.segment, next.chunk.message.len(), Instant::now());
                    if let Some(outgoing) = outgoing(next) {
                        self.outbox.push(outgoing);
                    }
                }
                Work::Overtaken(segment_first) => {
                    self.segment_first = segment_first;
                    self.outbox.give_up_before(segment_first);
                    flight.lost_before(segment_first);
                    self.count_lost(lane, |_| {});
                }
            },
            flushed = self.outbox.flush(), if !self.outbox.is_empty() => {
                flushed.map_err(|lost| LineEnd::Broke(lost.to_string()))?;
            }
        }
        // The relay has given a segment up: what was to follow of it does not go out.
        self.count_lost(lane, |chunks| flight.lost_newest(chunks));
        Ok(())
    }

    /// What was given up after it was given out was not sent.
    fn count_lost(&mut self, lane: &Lane, tell: impl Fn(u64)) {
        for skipped in self.outbox.take_skipped() {
            lane.lost(skipped.track, skipped.chunks);
            tell(skipped.chunks);
        }
        self.outbox.take_sent().for_each(drop);
    }

    /// QUIC holds no more than so many bytes that have not arrived: what was written before those has arrived, or was given up by the
    /// relay itself, which counts none of it then.
    fn settle(&self, flight: &Flight) {
        let under_way = self.session.quic().stats().path.cwnd + SEND_SLACK_BYTES;
        let written = flight.handed_bytes().saturating_sub(self.outbox.waiting_bytes() as u64);
        flight.settled(written.saturating_sub(under_way));
        if self.outbox.is_empty() {
            flight.settled_after(SETTLED_TIME + self.session.rtt(), Instant::now());
        }
    }

    pub(super) async fn goodbye(mut self, last: Vec<String>) {
        // The relay hears that all is over beside the last chunks, not behind them.
        let _ = timeout(LAST_TIME_MAX, self.outbox.finish()).await;
        self.control.say_last(&last, LAST_TIME_MAX).await;
        self.session.close(0, "");
    }
}

/// A chunk as sessions send it; none of what is no media message.
fn outgoing(next: crate::uplink_queue::Next) -> Option<Outgoing> {
    let (header, _) = MediaHeader::decode(&next.chunk.message).ok()?;
    Some(Outgoing {
        track: next.chunk.track,
        sound: next.chunk.track == SOUND_TRACK,
        segment: next.chunk.segment,
        key: header.key,
        init: next.init,
        chunk: next.chunk.message,
        arrived: tokio::time::Instant::now(),
    })
}

fn end_of(error: ControlError) -> LineEnd {
    match error {
        ControlError::Closed => LineEnd::Closed,
        error => LineEnd::Broke(error.to_string()),
    }
}
