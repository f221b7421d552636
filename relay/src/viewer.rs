//! A connection that watches a stream, or another relay's that pulls it.

use std::{future::poll_fn, sync::Arc, task::Poll};

use protocol::{ErrorCode, limits::PING_INTERVAL};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use self::{
    asked::{Asked, renew},
    line::Line,
    visit::Visit,
};
use crate::{
    connection::{End, farewell},
    house::House,
    rate::Chatter,
    session::Session,
    stream::{ViewerSeat, fan_out::Place},
    transport::{Message, websocket::Socket},
};

pub(crate) mod asked;
mod line;
pub(crate) mod said;
pub(crate) mod visit;

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
        let visit = Visit::new(&self.session, &self.house);
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        // The seat is free before the farewell, which may take a while.
        drop(self.place);
        let socket = self.line.end();
        let words = visit.leave(&end);
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
            Message::Text(text) => match Asked::of(&text, &self.session)? {
                Asked::Renew(ticket) => renew(&mut self.session, &ticket, &self.house),
                Asked::Key(track) => {
                    self.line.want_key(track);
                    Ok(())
                }
                Asked::Select(track) => {
                    if !self.line.select(track) {
                        // The broadcaster may have come back with others while the word was under way.
                        debug!(%track, "a viewer wants a track that the stream does not have");
                    }
                    Ok(())
                }
            },
        }
    }
}
