//! A connection that watches a stream, or another relay's that pulls it.

use std::sync::Arc;

use protocol::{
    ErrorCode, Secret,
    control::{FromRelay, FromViewer, ToViewer},
    limits::{KEEP_ALIVE_INTERVAL, PING_INTERVAL},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info};

use crate::{
    connection::{End, farewell, keep_alive, parse, text_of},
    house::House,
    rate::Chatter,
    session::Session,
    stream::{ViewerEvent, ViewerSeat, streams::Refused, window::Delivery},
    transport::{Message, websocket::Socket},
};

/// Most events a viewer is sent before its own messages are looked at again.
const EVENTS_AT_ONCE_MAX: usize = 16;

/// A viewer that was let in, or a relay.
#[derive(Debug)]
pub struct Viewing {
    socket: Socket,
    seat: ViewerSeat,
    session: Session,
    chatter: Chatter,
    house: Arc<House>,
    came_at: Instant,
}

impl Viewing {
    /// A viewer on its seat.
    #[must_use]
    pub fn new(socket: Socket, seat: ViewerSeat, session: Session, house: Arc<House>) -> Self {
        Self { socket, seat, session, chatter: Chatter::default(), house, came_at: Instant::now() }
    }

    /// Serves until the connection or the stream ends.
    pub async fn serve(mut self) {
        let edge = self.session.edge().cloned();
        match &edge {
            None => debug!("a viewer came"),
            Some(edge) => info!(%edge, "another relay pulls the stream from here"),
        }
        let begun = Instant::now();
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        // The seat is free before the farewell, which may take a while.
        drop(self.seat);
        let (reason, duration_ms) = (end.reason(), begun.elapsed().as_millis() as u64);
        let dropped = !matches!(end, End::Left | End::StreamEnded);
        match &edge {
            None if dropped => self.house.metrics.dropped_viewer(reason),
            Some(_) if dropped => self.house.metrics.dropped_edge(reason),
            _ => {}
        }
        match &edge {
            None => info!(reason, duration_ms, "a viewer left"),
            Some(edge) => info!(%edge, reason, duration_ms, "another relay pulls the stream from here no longer"),
        }
        let words = match end {
            End::StreamEnded => vec![text_of(&ToViewer::StreamEnded {})],
            End::Stopping | End::Revoked => vec![text_of(&ToViewer::Move { relays: vec![], within_ms: 0 })],
            _ => vec![],
        };
        farewell(self.socket, &end, &words).await;
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let mut alive = interval(PING_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        alive.reset();
        let quiet = sleep_until(self.socket.said_at() + KEEP_ALIVE_INTERVAL);
        tokio::pin!(quiet);
        let mut more = true;
        loop {
            self.session.check()?;
            tokio::select! {
                biased;
                message = self.socket.receive() => {
                    self.take(message?)?;
                    more = true;
                }
                _ = alive.tick() => keep_alive(&mut self.socket).await?,
                // Set anew only when it is over: while media flow, it comes a few times a second, and finds little to do.
                () = quiet.as_mut() => {
                    if self.socket.said_at().elapsed() >= KEEP_ALIVE_INTERVAL {
                        self.show_life().await?;
                    }
                    quiet.as_mut().reset(self.socket.said_at() + KEEP_ALIVE_INTERVAL);
                    more = true;
                }
                () = std::future::ready(()), if more => more = self.send_events().await?,
                () = self.seat.changed(), if !more => more = true,
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), End> {
        self.chatter.heard()?;
        match message {
            Message::Alive => Ok(()),
            Message::Media(_) => Err(End::error(ErrorCode::InvalidRequest, "a viewer sends no media")),
            Message::Text(text) if self.session.edge().is_some() => match parse(&text)? {
                FromRelay::RenewTicket { ticket } => self.session.renew(&ticket),
                FromRelay::KeyFrameWanted { track } => {
                    self.seat.want_key(track);
                    Ok(())
                }
            },
            Message::Text(text) => match parse(&text)? {
                FromViewer::RenewTicket { ticket } => self.renew(&ticket),
                FromViewer::SelectTrack { track } => {
                    if !self.seat.select(track) {
                        // The broadcaster may have come back with others while the word was under way.
                        debug!(%track, "a viewer wants a track that the stream does not have");
                    }
                    Ok(())
                }
            },
        }
    }

    fn renew(&mut self, ticket: &Secret) -> Result<(), End> {
        self.session.renew(ticket)?;
        self.house.edges.wanted(&self.house, self.session.grant(), ticket);
        Ok(())
    }

    /// Sends some of what there is to send; whether there may be more.
    async fn send_events(&mut self) -> Result<bool, End> {
        for _ in 0..EVENTS_AT_ONCE_MAX {
            let message = match self.seat.next_event(Instant::now()) {
                None => return Ok(false),
                Some(ViewerEvent::Ended) => return Err(End::StreamEnded),
                Some(ViewerEvent::NotLive) => return Err(End::error(ErrorCode::StreamNotLive, Refused::NotLive)),
                Some(ViewerEvent::Removed) => return Err(End::error(ErrorCode::ViewerRemoved, Refused::Removed)),
                Some(ViewerEvent::Media(delivery)) => {
                    self.send_media(delivery).await?;
                    continue;
                }
                Some(ViewerEvent::Watching { tracks, selected, epoch, path }) => ToViewer::Watching {
                    stream: self.seat.stream(),
                    tracks: tracks.to_vec(),
                    selected,
                    epoch,
                    path: path.iter().chain([&self.house.name]).cloned().collect(),
                },
                Some(ViewerEvent::Broadcaster { present }) => ToViewer::Broadcaster { present },
                Some(ViewerEvent::Move { relays, within_ms }) => ToViewer::Move { relays: relays.to_vec(), within_ms },
                Some(ViewerEvent::Viewers(count)) => ToViewer::Viewers { count },
            };
            self.socket.send_text(text_of(&message)).await?;
        }
        Ok(true)
    }

    async fn send_media(&mut self, delivery: Delivery) -> Result<(), End> {
        let metrics = Arc::clone(&self.house.metrics);
        if let Some(skipped) = delivery.skipped {
            metrics.skipped(&skipped);
            let notice = ToViewer::Skipped { track: skipped.track, chunks: skipped.chunks };
            self.socket.send_text(text_of(&notice)).await?;
        }
        if let Some(init) = delivery.init {
            metrics.bytes_out.inc_by(init.len() as u64);
            self.socket.send_media(init).await?;
        }
        // What was here before is not late: somebody who has just come begins with it.
        if delivery.arrived >= self.came_at {
            metrics.lag.note(delivery.arrived.elapsed());
        }
        let bytes = delivery.chunk.len() as u64;
        self.socket.send_media(delivery.chunk).await?;
        metrics.bytes_out.inc_by(bytes);
        metrics.chunks_out.inc();
        Ok(())
    }

    async fn show_life(&mut self) -> Result<(), End> {
        Ok(self.socket.send_text(text_of(&ToViewer::Viewers { count: self.seat.viewers() })).await?)
    }
}
