//! What upstreams say, and what becomes of the stream by it.

use bytes::Bytes;
use protocol::{MediaHeader, control::ToViewer, http::RelayAddress};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    super::link::{Failure, News},
    Pull,
    feed::{Candidate, Main},
    moving::Moving,
    need::{Need, is_outdated},
    told::read_origin,
};
use crate::stream::{Origin, PushError};

impl Pull {
    /// What the upstream says.
    pub(super) fn hear(&mut self, news: News) {
        let Some(main) = &mut self.main else { return };
        main.feed.heard_at = Instant::now();
        let heard = match news {
            News::Reached(_) | News::Alive => Ok(()),
            News::Media(header, message) => self.push(&header, message),
            // At least what was under way is missing.
            News::Cut(track) => main.seat.skipped(track, 1).map_err(Heard::from),
            News::Ended(failure) => Err(Heard::Lost(failure)),
            News::Said(ToViewer::Error { code, message }) => Err(Heard::Lost(Failure::Refused(code.as_str(), message))),
            News::Said(ToViewer::Broadcaster { present }) => {
                main.feed.present = present;
                main.seat.set_present(present).map_err(Heard::from)
            }
            News::Said(ToViewer::Skipped { track, chunks }) => main.seat.skipped(track, chunks).map_err(Heard::from),
            News::Said(ToViewer::Move { relays, .. }) => {
                self.is_to_follow(relays);
                Ok(())
            }
            News::Said(ToViewer::StreamEnded {}) => {
                self.end();
                Ok(())
            }
            News::Said(watching @ ToViewer::Watching { .. }) => self.comes_otherwise(watching),
            News::Said(ToViewer::Viewers { .. }) => Ok(()),
        };
        match heard {
            Ok(()) => self.take_over_when_due(Instant::now()),
            Err(Heard::Superseded) => self.main = None,
            Err(Heard::Lost(failure)) => self.lose(&failure),
        }
    }

    fn push(&mut self, header: &MediaHeader, message: Bytes) -> Result<(), Heard> {
        let Some(main) = &mut self.main else { return Ok(()) };
        let metrics = &self.house.metrics;
        metrics.upstream_bytes_in.inc_by(message.len() as u64);
        if main.seat.push(header, message, Instant::now())? {
            metrics.upstream_chunks_in.inc();
        }
        Ok(())
    }

    /// The stream comes to the upstream on another way, or from another publisher.
    fn comes_otherwise(&mut self, watching: ToViewer) -> Result<(), Heard> {
        let Some(main) = &mut self.main else { return Ok(()) };
        let origin = read_origin(watching, &main.feed.upstream, &self.house.name).map_err(Heard::Lost)?;
        let refused = |_| Heard::Lost(Failure::Useless("what it sends now is outdated"));
        main.seat = self.house.streams.pull(self.stream, origin.clone()).map_err(refused)?;
        main.origin = origin;
        Ok(())
    }

    fn is_to_follow(&mut self, relays: Vec<RelayAddress>) {
        let Some(main) = &mut self.main else { return };
        let may_follow = self.upstreams.prefer(&relays);
        info!(upstream = %main.feed.upstream, may_follow, "the upstream says that the stream goes on elsewhere");
        main.moving = Some(Moving::new(relays, Instant::now()));
        if !may_follow {
            self.ask(Instant::now());
        }
    }

    /// The upstream says that the stream is over.
    fn end(&mut self) {
        let Some(main) = &self.main else { return };
        if self.upstreams.epoch() > main.origin.epoch {
            return self.lose(&Failure::Useless("the stream goes on elsewhere"));
        }
        info!(upstream = %main.feed.upstream, "the stream has ended");
        (self.main, self.beside) = (None, None);
        self.house.streams.end(self.stream, Instant::now());
    }

    pub(super) fn lose(&mut self, failure: &Failure) {
        let Some(main) = self.main.take() else { return };
        self.house.metrics.upstream_failed(failure.reason());
        warn!(upstream = %main.feed.upstream, %failure, "another relay sends the stream no longer; trying the next");
        // The next one has its place before the old one leaves it, so that viewers hear of nothing.
        if self.beside.as_ref().is_some_and(|beside| beside.origin.is_some()) {
            self.take_over();
        }
        drop(main);
        self.seek(Instant::now());
    }

    /// What the one beside says.
    pub(super) fn hear_beside(&mut self, news: News) {
        let Some(beside) = &mut self.beside else { return };
        let now = Instant::now();
        beside.feed.heard_at = now;
        match news {
            News::Reached(transport) => beside.feed.transport = Some(transport),
            News::Ended(failure) => self.fail_beside(failure),
            News::Said(ToViewer::Error { code, message }) => self.fail_beside(Failure::Refused(code.as_str(), message)),
            News::Said(ToViewer::Move { .. } | ToViewer::StreamEnded {}) => {
                self.fail_beside(Failure::Useless("the stream does not stay there"));
            }
            News::Said(watching @ ToViewer::Watching { .. }) => {
                match read_origin(watching, &beside.feed.upstream, &self.house.name) {
                    Ok(origin) => self.answered(origin),
                    Err(failure) => self.fail_beside(failure),
                }
            }
            News::Said(ToViewer::Broadcaster { present }) => beside.feed.present = present,
            News::Media(header, message) => {
                beside.handover.hold(header, message, now);
                if self.need(now) == Some(Need::Handover) {
                    self.take_over_when_due(now);
                } else if self.need(now).is_some() {
                    self.take_over();
                }
            }
            News::Said(ToViewer::Skipped { .. } | ToViewer::Viewers { .. }) | News::Cut(_) | News::Alive => {}
        }
    }

    /// The one beside has the stream.
    fn answered(&mut self, origin: Origin) {
        let Some(beside) = &mut self.beside else { return };
        let known = self.upstreams.epoch();
        let is_older = self
            .main
            .as_ref()
            .is_some_and(|main| is_outdated(origin.epoch, main.origin.epoch, known, main.moving.is_some()));
        if is_older {
            return self.fail_beside(Failure::Useless("it has an older publisher's stream"));
        }
        beside.origin = Some(origin);
        if self.main.is_none() {
            self.take_over();
        }
    }

    pub(super) fn fail_beside(&mut self, failure: Failure) {
        let Some(beside) = self.beside.take() else { return };
        self.house.metrics.upstream_failed(failure.reason());
        debug!(upstream = %beside.feed.upstream, %failure, "another relay does not send the stream");
        let now = Instant::now();
        self.upstreams.failed(now);
        self.seek(now);
    }

    pub(super) fn take_over_when_due(&mut self, now: Instant) {
        let (Some(main), Some(beside)) = (&self.main, &self.beside) else { return };
        let Some(origin) = &beside.origin else { return };
        let reached = |track| main.seat.segment_of(track);
        let is_other = origin.tracks != main.origin.tracks;
        if is_other || beside.handover.is_due(&origin.tracks, reached, now) {
            self.take_over();
        }
    }

    /// The one beside takes the upstream's place.
    fn take_over(&mut self) {
        let Some(Candidate { feed, origin: Some(origin), handover, .. }) = self.beside.take() else { return };
        let seat = match self.house.streams.pull(self.stream, origin.clone()) {
            Ok(seat) => seat,
            Err(refused) => {
                debug!(upstream = %feed.upstream, %refused, "what another relay sends is of no use");
                self.house.metrics.upstream_failed("useless");
                return self.upstreams.failed(Instant::now());
            }
        };
        let (depth, epoch) = (origin.path.len(), origin.epoch);
        let transport = feed.transport.map(tracing::field::display);
        info!(upstream = %feed.upstream, transport, depth, epoch, "the stream comes from another relay");
        self.upstreams.succeeded();
        if !feed.present {
            let _ = seat.set_present(false);
        }
        self.main = Some(Main { feed, seat, origin, moving: None });
        for (header, message) in handover.into_held() {
            if self.push(&header, message).is_err() {
                return self.main = None;
            }
        }
    }
}

/// Why an upstream is left.
#[derive(Debug)]
enum Heard {
    /// A broadcaster sends the stream here, or it is no longer here.
    Superseded,
    /// It can't be used any more.
    Lost(Failure),
}

impl From<PushError> for Heard {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Superseded | PushError::Ended => Self::Superseded,
            PushError::Refused(_) => Self::Lost(Failure::Useless("it sends media that can't be held")),
        }
    }
}
