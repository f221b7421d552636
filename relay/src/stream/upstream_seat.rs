//! Another relay that sends a stream to this one. Dropping the seat says that it does so no longer. A broadcaster that comes, and
//! another upstream that is seated, take its place.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{MediaHeader, RelayName, TrackInfo, TrackNumber, http::RelayAddress};
use tokio::{sync::Notify, sync::watch, time::Instant};

use super::{PushError, Stream, moving::Moving, source::Source, streams::Refused};

/// What an upstream says of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The publisher's epoch.
    pub epoch: u32,
    /// All tracks.
    pub tracks: Vec<TrackInfo>,
    /// The relays that it comes through, its origin first, the upstream last.
    pub path: Vec<RelayName>,
}

/// The right to hand on what another relay sends.
#[derive(Debug)]
pub struct UpstreamSeat {
    pub(super) stream: Arc<Stream>,
    pub(super) session: u64,
    pub(super) wake: watch::Receiver<()>,
    /// Tells the directory link that the stream became live.
    pub(super) liveness: Arc<Notify>,
}

impl UpstreamSeat {
    /// Takes a media message in that has come `now`; whether it is one that viewers have not had, and that can follow.
    ///
    /// # Errors
    /// When it is none that a window can hold, or when the seat is no longer the stream's.
    pub fn push(&self, header: &MediaHeader, message: Bytes, now: Instant) -> Result<bool, PushError> {
        let mut state = self.stream.state();
        self.judge(&state)?;
        let taken = state.window.splice(header, message, now)?;
        let becomes_live = taken && state.source.chunk_arrived();
        drop(state);
        if taken {
            self.stream.wake_viewers();
        }
        if becomes_live {
            self.liveness.notify_one();
        }
        Ok(taken)
    }

    /// The segment that the newest chunk of `track` belongs to.
    #[must_use]
    pub fn segment_of(&self, track: TrackNumber) -> Option<u32> {
        self.stream.state().window.segment_of(track)
    }

    /// The upstream has left out chunks for this relay.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub fn skipped(&self, track: TrackNumber, chunks: u64) -> Result<(), PushError> {
        let mut state = self.stream.state();
        self.judge(&state)?;
        state.window.lacks(track, chunks);
        Ok(())
    }

    /// Whether the broadcaster is connected to the origin.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub fn set_present(&self, is_present: bool) -> Result<(), PushError> {
        let mut state = self.stream.state();
        self.judge(&state)?;
        if let Source::Upstream { present, .. } = &mut state.source {
            *present = is_present;
        }
        drop(state);
        self.stream.wake_viewers();
        Ok(())
    }

    /// The stream goes on at `relays`, and this relay can't follow it there: its viewers are told.
    ///
    /// # Errors
    /// When the seat is no longer the stream's.
    pub fn move_to(&self, relays: Vec<RelayAddress>, now: Instant) -> Result<(), PushError> {
        let mut state = self.stream.state();
        self.judge(&state)?;
        state.moving = Some(Moving::new(relays, now));
        drop(state);
        self.stream.wake_viewers();
        Ok(())
    }

    /// Waits until there may be [`Self::keys_wanted`].
    pub async fn changed(&mut self) {
        // The seat holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }

    /// The tracks whose next key frame somebody waits for.
    #[must_use]
    pub fn keys_wanted(&self, now: Instant) -> Vec<TrackNumber> {
        let mut state = self.stream.state();
        if self.judge(&state).is_ok() { state.take_keys_wanted(now) } else { Vec::new() }
    }

    fn judge(&self, state: &super::State) -> Result<(), PushError> {
        if state.session != self.session {
            return Err(PushError::Superseded);
        }
        if state.gone.is_some() { Err(PushError::Ended) } else { Ok(()) }
    }
}

impl Drop for UpstreamSeat {
    fn drop(&mut self) {
        self.stream.metrics.pulls.dec();
        let mut state = self.stream.state();
        if state.session == self.session && state.source.is_upstream() {
            state.source = Source::looked_for(Instant::now());
        }
    }
}

impl Stream {
    /// Makes the caller the one that sends the stream; gives the number of its session.
    pub(super) fn seat_upstream(&self, origin: Origin) -> Result<u64, Refused> {
        let mut state = self.state();
        if state.gone.is_some() {
            return Err(Refused::Ended);
        }
        if state.source.is_broadcaster() {
            return Err(Refused::PublisherPresent);
        }
        if origin.epoch < state.epoch {
            return Err(Refused::StaleEpoch);
        }
        let chunk_arrived = matches!(state.source, Source::Upstream { chunk_arrived: true, .. });
        state.session += 1;
        state.source = Source::Upstream { chunk_arrived, present: true };
        state.moving = None;
        state.comes_through(origin.epoch, origin.path);
        if *state.tracks != *origin.tracks {
            state.keys_wanted.clear();
            state.begin(origin.tracks);
        }
        Ok(state.session)
    }
}
