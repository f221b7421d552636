//! The one publisher of a stream. Dropping the seat says that the broadcaster is away.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use protocol::{ErrorCode, MediaHeader, MediaKind, StreamId, TrackNumber, control::AudienceMember, http::RelayAddress};
use thiserror::Error;
use tokio::{sync::Notify, sync::watch, time::Instant};

use super::{Stream, audience::Audience, moving::Moving, source::Source, window::Refusal};

/// How often a publisher is told at most who watches: a list that people read.
const AUDIENCE_INTERVAL: Duration = Duration::from_secs(1);

/// The right to push into a stream.
#[derive(Debug)]
pub struct PublisherSeat {
    pub(super) stream: Arc<Stream>,
    pub(super) session: u64,
    pub(super) wake: watch::Receiver<()>,
    /// Tells the directory link that a stream became live or was left.
    pub(super) liveness: Arc<Notify>,
    pub(super) viewers_version: Option<u64>,
    pub(super) audience_told: Option<AudienceTold>,
}

/// The audience that the publisher was told last.
#[derive(Debug)]
pub(super) struct AudienceTold {
    version: u64,
    members: Vec<AudienceMember>,
    at: Instant,
}

/// Why a media message was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushError {
    /// The message is not one that may come now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another publisher has taken over.
    #[error("a publisher with a higher epoch has taken over")]
    Superseded,
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
}

impl PushError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Superseded => ErrorCode::Superseded,
            Self::Ended => ErrorCode::StreamNotFound,
        }
    }
}

/// What a publisher is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PublisherNotice {
    /// Tracks whose next key frame somebody waits for.
    pub keys_wanted: Vec<TrackNumber>,
    /// The number of viewers, when it is news.
    pub viewers: Option<u32>,
    /// Who watches, when it is news.
    pub audience: Option<Vec<AudienceMember>>,
}

impl PublisherSeat {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream.id
    }

    /// Takes a media message in that has come `now`.
    ///
    /// # Errors
    /// When it is out of order, or when the seat is no longer the stream's.
    pub fn push(&self, header: &MediaHeader, message: Bytes, now: Instant) -> Result<(), PushError> {
        let mut state = self.stream.state();
        if state.session != self.session {
            return Err(PushError::Superseded);
        }
        if state.gone.is_some() {
            return Err(PushError::Ended);
        }
        let bytes = message.len() as u64;
        if state.repeats_until.is_some_and(|until| now < until || state.window.has_init_to_come()) {
            state.window.splice(header, message, now)?;
        } else {
            state.window.push(header, message, now)?;
        }
        let becomes_live = header.kind == MediaKind::Chunk && state.source.chunk_arrived();
        drop(state);
        self.stream.metrics.took_in(header.kind, bytes);
        self.stream.wake_viewers();
        if becomes_live {
            self.liveness.notify_one();
        }
        Ok(())
    }

    /// The stream goes on at `relays`: its viewers are told.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub fn move_to(&self, relays: Vec<RelayAddress>, now: Instant) -> Result<(), PushError> {
        let mut state = self.stream.state();
        if state.session != self.session {
            return Err(PushError::Superseded);
        }
        state.moving = Some(Moving::new(relays, now));
        drop(state);
        self.stream.wake_viewers();
        Ok(())
    }

    /// Waits until there may be a [`Self::notice`].
    pub async fn changed(&mut self) {
        // The seat holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }

    /// What the publisher is to be told now.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub fn notice(&mut self, now: Instant) -> Result<PublisherNotice, PushError> {
        let mut state = self.stream.state();
        if state.session != self.session {
            return Err(PushError::Superseded);
        }
        if state.gone.is_some() {
            return Err(PushError::Ended);
        }
        let announced = state.announced;
        let news = self.viewers_version.replace(announced.version) != Some(announced.version);
        let viewers = news.then_some(announced.viewers);
        let keys_wanted = state.take_keys_wanted(now);
        let audience = audience_news(&mut self.audience_told, &state.audience, now);
        Ok(PublisherNotice { keys_wanted, viewers, audience })
    }
}

fn audience_news(told: &mut Option<AudienceTold>, audience: &Audience, now: Instant) -> Option<Vec<AudienceMember>> {
    let version = audience.version();
    if let Some(told) = told
        && (told.version == version || now.duration_since(told.at) < AUDIENCE_INTERVAL)
    {
        return None;
    }
    let members = audience.newest();
    let news = told.as_ref().is_none_or(|told| told.members != members);
    let at = told.as_ref().filter(|_| !news).map_or(now, |told| told.at);
    *told = Some(AudienceTold { version, members: members.clone(), at });
    news.then_some(members)
}

impl Drop for PublisherSeat {
    fn drop(&mut self) {
        self.stream.metrics.publishers.dec();
        let mut state = self.stream.state();
        if state.session != self.session {
            return;
        }
        state.source = Source::left(Instant::now());
        drop(state);
        self.stream.wake_all();
        self.liveness.notify_one();
    }
}
