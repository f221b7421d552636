//! A session that watches a stream, or another relay's that pulls it.

use std::{convert::Infallible, future::poll_fn, sync::Arc};

use protocol::{ErrorCode, limits::PING_INTERVAL};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::debug;
use webtransport::{Control, Session};

use super::{
    guest::Line,
    line::{close, end_of_session, farewell},
};
use crate::{
    connection::End,
    house::House,
    rate::Chatter,
    session::Session as Permission,
    stream::{ViewerSeat, fan_out::Place},
    transport::FAREWELL_TIME_MAX,
    viewer::{
        asked::{Asked, renew},
        visit::Visit,
    },
};

/// A viewer that was let in, or a relay.
pub(super) struct Watching {
    session: Session,
    line: Arc<Line>,
    /// Where it is served what is new.
    place: Place,
    permission: Permission,
    chatter: Chatter,
    house: Arc<House>,
}

impl Watching {
    /// A viewer on its seat.
    pub(super) fn new(
        session: Session,
        control: Control,
        seat: ViewerSeat,
        permission: Permission,
        house: Arc<House>,
    ) -> Self {
        let row = seat.row();
        let is_edge = permission.edge().is_some();
        let line = Arc::new(Line::new(control, session.outbox(), seat, is_edge, Arc::clone(&house)));
        let place = row.join(Arc::clone(&line) as _);
        Self { session, line, place, permission, chatter: Chatter::default(), house }
    }

    /// Serves until the session or the stream ends.
    pub(super) async fn serve(mut self) {
        let visit = Visit::new(&self.permission, &self.house);
        let era = self.house.standing.era();
        let end = tokio::select! {
            biased;
            () = era.cancelled() => self.house.end_of_era(),
            Err(end) = self.run() => end,
        };
        // The seat is free before the farewell, which may take a while.
        drop(self.place);
        let left = self.line.end();
        let words = visit.leave(&end);
        let Some((control, mut outbox)) = left else { return close(&self.session, &end) };
        if end == End::StreamEnded {
            // What was sent last is seen, too.
            let _ = timeout(FAREWELL_TIME_MAX, outbox.finish()).await;
        }
        farewell(&self.session, control, &end, words).await;
    }

    async fn run(&mut self) -> Result<Infallible, End> {
        let mut look = interval(PING_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.permission.check()?;
            tokio::select! {
                biased;
                words = poll_fn(|cx| self.line.poll(cx)) => self.take(&words?)?,
                stream = self.session.accept_stream() => {
                    stream.map_err(end_of_session)?;
                    return Err(End::error(ErrorCode::InvalidRequest, "a viewer sends no media"));
                }
                _ = look.tick() => self.line.look()?,
            }
        }
    }

    fn take(&mut self, words: &str) -> Result<(), End> {
        self.chatter.heard()?;
        match Asked::of(words, &self.permission)? {
            Asked::Renew(ticket) => renew(&mut self.permission, &ticket, &self.house)?,
            Asked::Key(track) => self.line.want_key(track),
            Asked::Select(track) => {
                if !self.line.select(track) {
                    // The broadcaster may have come back with others while the word was under way.
                    debug!(%track, "a viewer wants a track that the stream does not have");
                }
            }
        }
        Ok(())
    }
}
