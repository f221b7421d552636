//! What a broadcaster says and sends, whatever carries it: judged, counted, and put into its stream.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{
    ErrorCode, MediaHeader, MediaKind,
    control::{FromBroadcaster, ToBroadcaster},
};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::{
    connection::{End, parse, text_of},
    house::House,
    rate::{Chatter, Pace},
    session::Session,
    stream::{PublisherSeat, PushError, moving::are_well_formed},
};

/// A broadcaster's seat, and what it may do there.
#[derive(Debug)]
pub(crate) struct Intake {
    seat: PublisherSeat,
    session: Session,
    chatter: Chatter,
    pace: Pace,
    /// Nothing is read before: media came faster than it may.
    paused_until: Option<Instant>,
    house: Arc<House>,
    received: Received,
    begun: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Received {
    chunks: u64,
    bytes: u64,
}

impl Intake {
    /// A broadcaster has come.
    pub(crate) fn new(seat: PublisherSeat, session: Session, house: Arc<House>) -> Self {
        info!("a broadcaster came");
        let begun = Instant::now();
        let pace = Pace::new(house.publisher_bytes_per_s_max, begun);
        Self {
            seat,
            session,
            chatter: Chatter::default(),
            pace,
            paused_until: None,
            house,
            received: Received::default(),
            begun,
        }
    }

    /// What it is told first.
    pub(crate) fn welcome(&self) -> String {
        text_of(&ToBroadcaster::StreamRegistered { stream: self.seat.stream(), relay: self.house.name.clone() })
    }

    /// Whether it may go on.
    ///
    /// # Errors
    /// When its ticket's time is over.
    pub(crate) fn check(&self) -> Result<(), End> {
        self.session.check()
    }

    /// It has shown life.
    ///
    /// # Errors
    /// When it does so too often.
    pub(crate) fn heard(&self) -> Result<(), End> {
        self.chatter.heard()
    }

    /// It has said this.
    ///
    /// # Errors
    /// When that ends the stream or the connection.
    pub(crate) fn take_words(&mut self, text: &str) -> Result<(), End> {
        self.chatter.heard()?;
        match parse(text)? {
            FromBroadcaster::EndStream {} => Err(End::StreamEnded),
            FromBroadcaster::RenewTicket { ticket } => self.session.renew(&ticket),
            FromBroadcaster::Moving { relays } if are_well_formed(&relays) => {
                info!(relays = relays.len(), "the broadcaster moves");
                self.seat.move_to(relays, Instant::now()).map_err(end_of)
            }
            FromBroadcaster::Moving { .. } => {
                Err(End::error(ErrorCode::InvalidRequest, "the relays to move to are not well described"))
            }
        }
    }

    /// It has sent this media message.
    ///
    /// # Errors
    /// When it is not one that may come now.
    pub(crate) fn take_media(&mut self, header: &MediaHeader, message: Bytes) -> Result<(), End> {
        let bytes = message.len() as u64;
        let now = Instant::now();
        self.seat.push(header, message, now).map_err(end_of)?;
        self.received.bytes += bytes;
        self.received.chunks += u64::from(header.kind == MediaKind::Chunk);
        let pause = self.pace.took(bytes as usize, now);
        if !pause.is_zero() {
            self.paused_until = Some(now + pause);
            self.house.metrics.publisher_pauses.inc();
        }
        Ok(())
    }

    /// Until when nothing is to be read of it.
    pub(crate) const fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// It is read again.
    pub(crate) const fn go_on(&mut self) {
        self.paused_until = None;
    }

    /// What has arrived, to be told also when it is as before: a broadcaster's "live" light stands on it, and its patience with a relay
    /// that says nothing is short.
    pub(crate) fn received(&self) -> String {
        let Received { chunks, bytes } = self.received;
        text_of(&ToBroadcaster::Received { chunks, bytes })
    }

    /// Waits until there may be [`Self::news`].
    pub(crate) async fn changed(&mut self) {
        self.seat.changed().await;
    }

    /// What it is to be told now.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub(crate) fn news(&mut self) -> Result<Vec<String>, End> {
        let notice = self.seat.notice(Instant::now()).map_err(end_of)?;
        let keys = notice.keys_wanted.into_iter().map(|track| ToBroadcaster::KeyFrameWanted { track });
        let viewers = notice.viewers.map(|count| ToBroadcaster::Viewers { count });
        let audience = notice.audience.map(|viewers| ToBroadcaster::Audience { viewers });
        Ok(keys.chain(viewers).chain(audience).map(|news| text_of(&news)).collect())
    }

    /// It has left, or is to leave. The seat is free at once: a farewell may take a while.
    pub(crate) fn leave(self, end: &End) {
        let stream = self.seat.stream();
        drop(self.seat);
        if *end == End::StreamEnded {
            self.house.streams.end(stream, Instant::now());
        }
        if !matches!(end, End::Left | End::StreamEnded) {
            self.house.metrics.dropped_publisher(end.reason());
        }
        let (chunks, duration_ms) = (self.received.chunks, self.begun.elapsed().as_millis() as u64);
        info!(reason = end.reason(), chunks, duration_ms, "a broadcaster left");
        if let End::Error(_, message) = &end {
            debug!(message, "what the broadcaster was told");
        }
    }
}

fn end_of(error: PushError) -> End {
    End::error(error.code(), error)
}
