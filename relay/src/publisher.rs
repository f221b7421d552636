//! A connection that sends a stream.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{
    ErrorCode, MediaHeader,
    limits::{KEEP_ALIVE_INTERVAL, PING_INTERVAL},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::intake::Intake;
use crate::{
    connection::{End, farewell, keep_alive},
    house::House,
    session::Session,
    stream::PublisherSeat,
    transport::{Message, websocket::Socket},
};

pub(crate) mod intake;

/// A broadcaster that was let in.
#[derive(Debug)]
pub struct Publishing {
    socket: Socket,
    intake: Intake,
    house: Arc<House>,
}

impl Publishing {
    /// A broadcaster on its seat.
    #[must_use]
    pub fn new(mut socket: Socket, seat: PublisherSeat, session: Session, house: Arc<House>) -> Self {
        socket.allow_media();
        let intake = Intake::new(seat, session, Arc::clone(&house));
        Self { socket, intake, house }
    }

    /// Serves until the connection or the stream ends.
    pub async fn serve(mut self) {
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        self.intake.leave(&end);
        farewell(self.socket, &end, &[]).await;
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        self.socket.send_text(self.intake.welcome()).await?;
        self.tell_news().await?;
        let begun = Instant::now();
        let mut tick = interval(KEEP_ALIVE_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = interval(PING_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.intake.check()?;
            let paused_until = self.intake.paused_until();
            tokio::select! {
                message = self.socket.receive(), if paused_until.is_none() => self.take(message?)?,
                () = sleep_until(paused_until.unwrap_or(begun)), if paused_until.is_some() => {
                    self.intake.go_on();
                    // What it has said meanwhile was not read.
                    self.socket.heard();
                }
                _ = tick.tick() => {
                    self.socket.send_text(self.intake.received()).await?;
                    self.tell_news().await?;
                }
                () = self.intake.changed() => self.tell_news().await?,
                _ = alive.tick(), if paused_until.is_none() => keep_alive(&mut self.socket).await?,
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Alive => self.intake.heard(),
            Message::Media(message) => self.take_media(message),
            Message::Text(text) => self.intake.take_words(&text),
        }
    }

    fn take_media(&mut self, message: Bytes) -> Result<(), End> {
        let (header, _) =
            MediaHeader::decode(&message).map_err(|invalid| End::error(ErrorCode::InvalidRequest, invalid))?;
        self.intake.take_media(&header, message)
    }

    async fn tell_news(&mut self) -> Result<(), End> {
        for news in self.intake.news()? {
            self.socket.send_text(news).await?;
        }
        Ok(())
    }
}
