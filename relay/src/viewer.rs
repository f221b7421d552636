//! A connection that watches a stream, or another relay's that pulls it.

use std::{future::poll_fn, sync::Arc, task::Poll};

use protocol::{
    ErrorCode, Secret,
    control::{FromRelay, FromViewer, ToViewer},
    limits::PING_INTERVAL,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info};

use self::line::Line;
use crate::{
    connection::{End, farewell, parse, text_of},
    house::House,
    rate::Chatter,
    session::Session,
    stream::{ViewerSeat, fan_out::Place},
    transport::{Message, websocket::Socket},
};

mod line;
pub(crate) mod said;

/// A viewer that was let in, or a relay.
#[derive(Debug)]
pub struct Viewing {
    line: Arc<Line>,
    /// Where it is served what is new.
    place: Place,
    session: Session,
    chatter: Chatter,
    house: Arc<House>,
}

impl Viewing {
    /// A viewer on its seat.
    #[must_use]
    pub fn new(socket: Socket, seat: ViewerSeat, session: Session, house: Arc<House>) -> Self {
        let row = seat.row();
        let line = Arc::new(Line::new(socket, seat, Arc::clone(&house)));
        let place = row.join(Arc::clone(&line) as _);
        Self { line, place, session, chatter: Chatter::default(), house }
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
        drop(self.place);
        let socket = self.line.end();
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
        if let Some(socket) = socket {
            farewell(socket, &end, &words).await;
        }
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let mut alive = interval(PING_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        alive.reset();
        loop {
            self.session.check()?;
            tokio::select! {
                biased;
                message = poll_fn(|cx| self.line.poll(cx)) => self.take(message?)?,
                _ = alive.tick() => poll_fn(|cx| Poll::Ready(self.line.keep_alive(cx))).await?,
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
                    self.line.want_key(track);
                    Ok(())
                }
            },
            Message::Text(text) => match parse(&text)? {
                FromViewer::RenewTicket { ticket } => self.renew(&ticket),
                FromViewer::SelectTrack { track } => {
                    if !self.line.select(track) {
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
}
