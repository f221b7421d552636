//! A connection that watches a stream.

use std::sync::Arc;

use protocol::{
    ErrorCode,
    control::{FromViewer, ToViewer},
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

/// A viewer that was let in.
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
        debug!("a viewer came");
        let begun = Instant::now();
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        // The seat is free before the farewell, which may take a while.
        drop(self.seat);
        if !matches!(end, End::Left | End::StreamEnded) {
            self.house.metrics.dropped_viewer(end.reason());
        }
        let duration_ms = begun.elapsed().as_millis() as u64;
        info!(reason = end.reason(), duration_ms, "a viewer left");
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
            Message::Text(text) => match parse(&text)? {
                FromViewer::RenewTicket { ticket } => self.session.renew(&ticket),
                FromViewer::SelectTrack { track } if self.seat.select(track) => Ok(()),
                FromViewer::SelectTrack { track } => {
                    Err(End::Error(ErrorCode::UnknownTrack, format!("the stream has no track {track}")))
                }
            },
        }
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
                Some(ViewerEvent::Watching { tracks, selected, epoch }) => ToViewer::Watching {
                    stream: self.seat.stream(),
                    tracks: tracks.to_vec(),
                    selected,
                    epoch,
                    path: vec![self.house.name.clone()],
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
