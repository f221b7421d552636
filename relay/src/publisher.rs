//! A connection that sends a stream.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{
    ErrorCode, MediaHeader, MediaKind,
    control::{FromBroadcaster, ToBroadcaster},
    limits::{KEEP_ALIVE_INTERVAL, PING_INTERVAL},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info};

use crate::{
    connection::{End, farewell, keep_alive, parse, text_of},
    house::House,
    rate::{Chatter, Pace},
    session::Session,
    stream::{PublisherSeat, PushError, moving::are_well_formed},
    transport::{Message, websocket::Socket},
};

/// A broadcaster that was let in.
#[derive(Debug)]
pub struct Publishing {
    socket: Socket,
    seat: PublisherSeat,
    session: Session,
    chatter: Chatter,
    pace: Pace,
    /// Nothing is read before: media came faster than it may.
    paused_until: Option<Instant>,
    house: Arc<House>,
    received: Received,
}

#[derive(Debug, Clone, Copy, Default)]
struct Received {
    chunks: u64,
    bytes: u64,
}

impl Publishing {
    /// A broadcaster on its seat.
    #[must_use]
    pub fn new(mut socket: Socket, seat: PublisherSeat, session: Session, house: Arc<House>) -> Self {
        socket.allow_media();
        let pace = Pace::new(house.publisher_bytes_per_s_max, Instant::now());
        Self {
            socket,
            seat,
            session,
            chatter: Chatter::default(),
            pace,
            paused_until: None,
            house,
            received: Received::default(),
        }
    }

    /// Serves until the connection or the stream ends.
    pub async fn serve(mut self) {
        info!("a broadcaster came");
        let begun = Instant::now();
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        let stream = self.seat.stream();
        // The seat is free before the farewell, which may take a while.
        drop(self.seat);
        if end == End::StreamEnded {
            self.house.streams.end(stream, Instant::now());
        }
        if !matches!(end, End::Left | End::StreamEnded) {
            self.house.metrics.dropped_publisher(end.reason());
        }
        let (chunks, duration_ms) = (self.received.chunks, begun.elapsed().as_millis() as u64);
        info!(reason = end.reason(), chunks, duration_ms, "a broadcaster left");
        if let End::Error(_, message) = &end {
            debug!(message, "what the broadcaster was told");
        }
        farewell(self.socket, &end, &[]).await;
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let registered = ToBroadcaster::StreamRegistered { stream: self.seat.stream(), relay: self.house.name.clone() };
        self.socket.send_text(text_of(&registered)).await?;
        self.tell_news().await?;
        let begun = Instant::now();
        let mut tick = interval(KEEP_ALIVE_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = interval(PING_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.session.check()?;
            tokio::select! {
                message = self.socket.receive(), if self.paused_until.is_none() => self.take(message?)?,
                () = sleep_until(self.paused_until.unwrap_or(begun)), if self.paused_until.is_some() => {
                    self.paused_until = None;
                    // What it has said meanwhile was not read.
                    self.socket.heard();
                }
                _ = tick.tick() => {
                    self.tell_received().await?;
                    self.tell_news().await?;
                }
                () = self.seat.changed() => self.tell_news().await?,
                _ = alive.tick(), if self.paused_until.is_none() => keep_alive(&mut self.socket).await?,
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Alive => self.chatter.heard(),
            Message::Media(message) => self.take_media(message),
            Message::Text(text) => {
                self.chatter.heard()?;
                match parse(&text)? {
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
        }
    }

    fn take_media(&mut self, message: Bytes) -> Result<(), End> {
        let (header, _) =
            MediaHeader::decode(&message).map_err(|invalid| End::error(ErrorCode::InvalidRequest, invalid))?;
        let bytes = message.len() as u64;
        let now = Instant::now();
        self.seat.push(&header, message, now).map_err(end_of)?;
        self.received.bytes += bytes;
        self.received.chunks += u64::from(header.kind == MediaKind::Chunk);
        let pause = self.pace.took(bytes as usize, now);
        if !pause.is_zero() {
            self.paused_until = Some(now + pause);
            self.house.metrics.publisher_pauses.inc();
        }
        Ok(())
    }

    /// Tells what has arrived, also when it is as before: a broadcaster's "live" light stands on it, and its patience with a relay
    /// that says nothing is short.
    async fn tell_received(&mut self) -> Result<(), End> {
        let Received { chunks, bytes } = self.received;
        Ok(self.socket.send_text(text_of(&ToBroadcaster::Received { chunks, bytes })).await?)
    }

    async fn tell_news(&mut self) -> Result<(), End> {
        let notice = self.seat.notice(Instant::now()).map_err(end_of)?;
        for track in notice.keys_wanted {
            self.socket.send_text(text_of(&ToBroadcaster::KeyFrameWanted { track })).await?;
        }
        if let Some(count) = notice.viewers {
            self.socket.send_text(text_of(&ToBroadcaster::Viewers { count })).await?;
        }
        if let Some(viewers) = notice.audience {
            self.socket.send_text(text_of(&ToBroadcaster::Audience { viewers })).await?;
        }
        Ok(())
    }
}

fn end_of(error: PushError) -> End {
    End::error(error.code(), error)
}
