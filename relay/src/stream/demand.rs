//! Whether a stream is to be pulled from another relay: what the one who pulls sees of it.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};

use super::Stream;

/// A view of one stream.
#[derive(Debug)]
pub struct Demand {
    pub(super) stream: Arc<Stream>,
    pub(super) wake: watch::Receiver<()>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Somebody watches, and no broadcaster sends the stream here.
    Pulled,
    /// A broadcaster sends it here.
    Nothing,
    /// Nobody watches it here.
    LettingGo,
    /// The stream is no longer here.
    Gone,
}

impl Demand {
    /// What is wanted now.
    #[must_use]
    pub fn now(&self) -> Wanted {
        let state = self.stream.state();
        if state.gone.is_some() {
            Wanted::Gone
        } else if state.source.is_broadcaster() {
            Wanted::Nothing
        } else if state.has_guests() {
            Wanted::Pulled
        } else {
            Wanted::LettingGo
        }
    }

    /// The epoch of the newest publisher.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.stream.state().epoch
    }

    /// Whether the stream was here, or is only waited for.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.stream.state().is_awaited()
    }

    /// Another relay is looked for: viewers who wait are not told at once that nobody sends the stream.
    pub fn is_looked_for(&self, now: Instant) {
        let mut state = self.stream.state();
        if state.is_awaited()
            && let super::source::Source::Nobody { since, told_from } = &mut state.source
            && since == told_from
        {
            *told_from = now + protocol::limits::CLIENT_PATIENCE;
        }
    }

    /// Waits until something may have changed.
    pub async fn changed(&mut self) {
        // This view holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }
}
