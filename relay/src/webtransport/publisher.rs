//! A session that sends a stream.

use std::{convert::Infallible, future::poll_fn, sync::Arc, task::Poll};

use protocol::limits::KEEP_ALIVE_INTERVAL;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use webtransport::{Control, Inbox, Session};

use super::line::{end_of_control, end_of_media, farewell};
use crate::{
    connection::End, house::House, publisher::intake::Intake, session::Session as Permission, stream::PublisherSeat,
};

/// A broadcaster that was let in.
pub(super) struct Publishing {
    session: Session,
    control: Control,
    inbox: Inbox,
    intake: Intake,
    house: Arc<House>,
}

impl Publishing {
    /// A broadcaster on its seat.
    pub(super) fn new(
        session: Session,
        control: Control,
        seat: PublisherSeat,
        permission: Permission,
        house: Arc<House>,
    ) -> Self {
        session.allow_media();
        let inbox = session.inbox();
        let intake = Intake::new(seat, permission, Arc::clone(&house));
        Self { session, control, inbox, intake, house }
    }

    /// Serves until the session or the stream ends.
    pub(super) async fn serve(mut self) {
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        self.intake.leave(&end);
        farewell(&self.session, self.control, &end, vec![]).await;
    }

    async fn run(&mut self) -> Result<Infallible, End> {
        self.say(self.intake.welcome())?;
        self.tell_news()?;
        let begun = Instant::now();
        let mut tick = interval(KEEP_ALIVE_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.intake.check()?;
            let paused_until = self.intake.paused_until();
            tokio::select! {
                words = self.control.exchange() => {
                    let words = words.map_err(end_of_control)?;
                    if let Err(end) = self.intake.take_words(&words) {
                        self.take_rest(&end).await?;
                        return Err(end);
                    }
                }
                media = self.inbox.next(), if paused_until.is_none() => {
                    let (header, message) = media.map_err(end_of_media)?;
                    self.intake.take_media(&header, message)?;
                }
                () = sleep_until(paused_until.unwrap_or(begun)), if paused_until.is_some() => self.intake.go_on(),
                _ = tick.tick() => {
                    self.say(self.intake.received())?;
                    self.tell_news()?;
                }
                () = self.intake.changed() => self.tell_news()?,
            }
        }
    }

    /// The end of a stream is told on the control stream, beside the media that came before it.
    async fn take_rest(&mut self, end: &End) -> Result<(), End> {
        if *end != End::StreamEnded {
            return Ok(());
        }
        let come = |cx: &mut std::task::Context<'_>| match self.inbox.poll_next(cx) {
            Poll::Ready(Ok(message)) => Poll::Ready(Some(message)),
            _ => Poll::Ready(None),
        };
        let mut come = come;
        let mut rest = Vec::new();
        while let Some(message) = poll_fn(&mut come).await {
            rest.push(message);
        }
        rest.into_iter().try_for_each(|(header, message)| self.intake.take_media(&header, message))
    }

    fn say(&mut self, words: String) -> Result<(), End> {
        self.control.queue(&words).map_err(end_of_control)
    }

    fn tell_news(&mut self) -> Result<(), End> {
        for news in self.intake.news()? {
            self.say(news)?;
        }
        Ok(())
    }
}
