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

/// Bytes that are gathered before they are written: what was waiting for a viewer that is behind, or for a busy machine, takes few
/// writes, and a newer key frame can still overtake the rest.
const WRITTEN_AT_ONCE_BYTES: usize = 64 * 1024;

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

    /// Sends some of what there is to send, by one write; whether there may be more.
    async fn send_events(&mut self) -> Result<bool, End> {
        let mut more = true;
        for _ in 0..EVENTS_AT_ONCE_MAX {
            if !more || self.socket.queued() >= WRITTEN_AT_ONCE_BYTES {
                break;
            }
            match self.seat.next_event(Instant::now()) {
                Some(event) => self.queue(event)?,
                None => more = false,
            }
        }
        self.socket.flush().await?;
        Ok(more)
    }

    fn queue(&mut self, event: ViewerEvent) -> Result<(), End> {
        let message = match event {
            ViewerEvent::Ended => return Err(End::StreamEnded),
            ViewerEvent::NotLive => return Err(End::error(ErrorCode::StreamNotLive, Refused::NotLive)),
            ViewerEvent::Removed => return Err(End::error(ErrorCode::ViewerRemoved, Refused::Removed)),
            ViewerEvent::Media(delivery) => {
                self.queue_media(delivery);
                return Ok(());
            }
            ViewerEvent::Watching { tracks, selected, epoch, path } => ToViewer::Watching {
                stream: self.seat.stream(),
                tracks: tracks.to_vec(),
                selected,
                epoch,
                path: path.iter().chain([&self.house.name]).cloned().collect(),
            },
            ViewerEvent::Broadcaster { present } => ToViewer::Broadcaster { present },
            ViewerEvent::Move { relays, within_ms } => ToViewer::Move { relays: relays.to_vec(), within_ms },
            ViewerEvent::Viewers(count) => ToViewer::Viewers { count },
        };
        self.socket.queue_text(text_of(&message));
        Ok(())
    }

    fn queue_media(&mut self, delivery: Delivery) {
        let metrics = &self.house.metrics;
        if let Some(skipped) = delivery.skipped {
            metrics.skipped(&skipped);
            let notice = ToViewer::Skipped { track: skipped.track, chunks: skipped.chunks };
            self.socket.queue_text(text_of(&notice));
        }
        if let Some(init) = delivery.init {
            metrics.bytes_out.inc_by(init.len() as u64);
            self.socket.queue_media(init);
        }
        // What was here before is not late: somebody who has just come begins with it.
        if delivery.arrived >= self.came_at {
            metrics.lag.note(delivery.arrived.elapsed());
        }
        metrics.bytes_out.inc_by(delivery.chunk.len() as u64);
        metrics.chunks_out.inc();
        self.socket.queue_media(delivery.chunk);
    }

    async fn show_life(&mut self) -> Result<(), End> {
        Ok(self.socket.send_text(text_of(&ToViewer::Viewers { count: self.seat.viewers() })).await?)
    }
}
