//! A session that watches a stream, or another relay's that pulls it.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use protocol::{ErrorCode, MediaHeader, TrackKind, TrackNumber, control::ToViewer, limits::KEEP_ALIVE_INTERVAL};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, timeout};
use tracing::debug;
use webtransport::{Control, Outbox, Outgoing, Session};

use super::line::{end_of_control, end_of_session, farewell};
use crate::{
    connection::{End, text_of},
    edge::SESSION_WORD_INTERVAL,
    house::House,
    rate::Chatter,
    session::Session as Permission,
    stream::{
        ViewerSeat,
        window::{Delivery, SkipReason, Skipped},
    },
    transport::{FAREWELL_TIME_MAX, WRITE_TIME_MAX},
    viewer::{
        asked::{Asked, renew},
        said::Said,
        visit::Visit,
    },
};

/// A viewer that was let in, or a relay.
pub(super) struct Watching {
    session: Session,
    control: Control,
    outbox: Outbox,
    seat: ViewerSeat,
    permission: Permission,
    chatter: Chatter,
    sounds: BTreeMap<TrackNumber, bool>,
    came_at: Instant,
    said_at: Instant,
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
        let (outbox, now) = (session.outbox(), Instant::now());
        Self {
            session,
            control,
            outbox,
            seat,
            permission,
            chatter: Chatter::default(),
            sounds: BTreeMap::new(),
            came_at: now,
            said_at: now,
            house,
        }
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
        drop(self.seat);
        let words = visit.leave(&end);
        if end == End::StreamEnded {
            // What was sent last is seen, too.
            let _ = timeout(FAREWELL_TIME_MAX, self.outbox.finish()).await;
        }
        farewell(&self.session, self.control, &end, words).await;
    }

    async fn run(&mut self) -> Result<Infallible, End> {
        let mut look = interval(self.word_interval());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.permission.check()?;
            self.gather()?;
            tokio::select! {
                biased;
                words = self.control.exchange() => self.take(&words.map_err(end_of_control)?)?,
                sent = self.outbox.flush(), if !self.outbox.is_empty() => sent.map_err(end_of_session)?,
                () = self.seat.changed(), if self.outbox.has_room() => {}
                stream = self.session.accept_stream() => {
                    stream.map_err(end_of_session)?;
                    return Err(End::error(ErrorCode::InvalidRequest, "a viewer sends no media"));
                }
                _ = look.tick() => self.look()?,
            }
            self.count()?;
        }
    }

    /// Takes what is next of the stream.
    fn gather(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while self.outbox.has_room() {
            let Some(event) = self.seat.next_event(now) else { return Ok(()) };
            match Said::of(event, self.seat.stream(), &self.house)? {
                Said::Media(delivery) => self.send(delivery)?,
                Said::Words(words) => {
                    if let ToViewer::Watching { tracks, selected, .. } = &words {
                        self.sounds = tracks.iter().map(|info| (info.track, info.kind == TrackKind::Sound)).collect();
                        self.outbox.retire_others(selected);
                    }
                    self.say(&words)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, delivery: Delivery) -> Result<(), End> {
        if let Some(skipped) = delivery.skipped {
            self.tell_skipped(skipped)?;
        }
        let chunk = delivery.chunk.message();
        // The window holds nothing else.
        let (header, _) = MediaHeader::decode(&chunk).map_err(|error| End::error(ErrorCode::Internal, error))?;
        self.outbox.push(Outgoing {
            track: header.track,
            sound: self.sounds.get(&header.track).copied().unwrap_or_default(),
            segment: header.segment,
            key: header.key,
            init: delivery.init.map(|init| init.message()),
            chunk,
            arrived: delivery.arrived,
        });
        Ok(())
    }

    /// Counts what was handed over, and tells what was left out.
    fn count(&mut self) -> Result<(), End> {
        let metrics = &self.house.metrics;
        for sent in self.outbox.take_sent() {
            // What was here before is not late: somebody who has just come begins with it.
            if sent.arrived >= self.came_at {
                metrics.lag.note(sent.arrived.elapsed(), 1);
            }
            metrics.bytes_out.inc_by(sent.bytes as u64);
            metrics.chunks_out.inc();
            self.said_at = Instant::now();
        }
        let skipped: Vec<_> = self.outbox.take_skipped().collect();
        for left_out in skipped {
            let (track, chunks) = (left_out.track, left_out.chunks);
            self.tell_skipped(Skipped { track, chunks, reason: SkipReason::Behind })?;
        }
        Ok(())
    }

    fn tell_skipped(&mut self, skipped: Skipped) -> Result<(), End> {
        self.house.metrics.skipped(&skipped);
        self.say(&ToViewer::Skipped { track: skipped.track, chunks: skipped.chunks })
    }

    /// Ends with one who takes nothing; shows life to one who is told nothing.
    fn look(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.outbox.stalled(now) >= WRITE_TIME_MAX {
            return Err(End::TooSlow);
        }
        if now.saturating_duration_since(self.said_at) >= self.word_interval() {
            return self.say(&ToViewer::Viewers { count: self.seat.viewers() });
        }
        Ok(())
    }

    /// How long it is told nothing at most, beside as long again between two looks.
    fn word_interval(&self) -> Duration {
        if self.permission.edge().is_some() { SESSION_WORD_INTERVAL } else { KEEP_ALIVE_INTERVAL / 2 }
    }

    fn say(&mut self, words: &ToViewer) -> Result<(), End> {
        self.said_at = Instant::now();
        self.control.queue(&text_of(words)).map_err(end_of_control)
    }

    fn take(&mut self, words: &str) -> Result<(), End> {
        self.chatter.heard()?;
        match Asked::of(words, &self.permission)? {
            Asked::Renew(ticket) => renew(&mut self.permission, &ticket, &self.house)?,
            Asked::Key(track) => self.seat.want_key(track),
            Asked::Select(track) => {
                if !self.seat.select(track) {
                    // The broadcaster may have come back with others while the word was under way.
                    debug!(%track, "a viewer wants a track that the stream does not have");
                }
            }
        }
        Ok(())
    }
}
