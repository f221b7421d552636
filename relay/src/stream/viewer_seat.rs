//! One viewer of a stream, or another relay that pulls it. Dropping the seat frees its place.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use protocol::{RelayName, StreamId, TrackInfo, TrackNumber, ViewerId, http::RelayAddress};
use tokio::{sync::watch, time::Instant};

use self::{progress::Progress, steps::Finding};
use super::{
    State, Stream,
    fan_out::{self, Place},
    window::Delivery,
};

mod progress;
mod steps;

pub use steps::{Step, Steps};

/// A place among those that a stream is sent to.
#[derive(Debug)]
pub struct ViewerSeat {
    stream: Arc<Stream>,
    wake: watch::Receiver<()>,
    progress: Progress,
}

/// The way into a row of those that a stream is sent to.
#[derive(Debug)]
pub struct Joining {
    stream: Arc<Stream>,
    news: watch::Receiver<()>,
}

impl Joining {
    /// Has `guest` served.
    pub fn join(self, guest: Arc<dyn fan_out::Guest>) -> Place {
        self.stream.fan_out.join(guest, &self.news, &self.stream.metrics)
    }
}

/// Who sits there.
#[derive(Debug)]
pub(super) enum Guest {
    /// Somebody who watches, and one track of each kind.
    Viewer {
        viewer: ViewerId,
        /// How many removals were looked at.
        removals: u64,
        /// Viewers over all streams of the relay.
        viewers_of_relay: Arc<AtomicU32>,
    },
    /// A relay with viewers of its own, and every track. It is no viewer.
    Edge,
}

/// What a viewer is to be sent next.
#[derive(Debug)]
pub enum ViewerEvent {
    /// The stream's tracks, and those that are sent.
    Watching {
        /// All tracks.
        tracks: Arc<[TrackInfo]>,
        /// The tracks that are sent.
        selected: Vec<TrackNumber>,
        /// The publisher's epoch.
        epoch: u32,
        /// The relays that it comes through before this one.
        path: Arc<[RelayName]>,
    },
    /// Whether a broadcaster is connected.
    Broadcaster {
        /// Whether it is.
        present: bool,
    },
    /// How many watch.
    Viewers(u32),
    /// The stream goes on elsewhere.
    Move {
        /// Where, best first.
        relays: Arc<[RelayAddress]>,
        /// How many milliseconds it still comes here.
        within_ms: u32,
    },
    /// Media.
    Media(Delivery),
    /// The stream is over.
    Ended,
    /// Nobody sends the stream to this relay.
    NotLive,
    /// The broadcaster has removed this viewer.
    Removed,
}

impl ViewerSeat {
    /// A seat for `guest`, who has just joined what `state` is the state of.
    pub(super) fn new(stream: Arc<Stream>, guest: Guest, state: &State) -> Self {
        let wake = stream.for_viewers.subscribe();
        Self { stream, wake, progress: Progress::new(guest, state) }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream.id
    }

    /// The row that this seat is served in, with others of its stream.
    #[must_use]
    pub fn row(&self) -> Joining {
        Joining { stream: Arc::clone(&self.stream), news: self.wake.clone() }
    }

    /// Waits until there may be a [`Self::next_event`].
    pub async fn changed(&mut self) {
        // The seat holds the stream, so the sender lives as long as this receiver.
        let _ = self.wake.changed().await;
    }

    /// What the viewer is to be sent next at `now`; `None`: nothing before the next change, but for a move and the absence of a
    /// broadcaster, for which it is asked again within [`protocol::limits::KEEP_ALIVE_INTERVAL`].
    pub fn next_event(&mut self, now: Instant) -> Option<ViewerEvent> {
        let state = self.stream.state();
        let event = self.progress.next(&state, now);
        if event.is_none() {
            self.ask_for_key(state);
        }
        event
    }

    /// Has `each` take one [`Self::next_event`] after the other, until there is none or it breaks off. The stream waits meanwhile.
    /// What was found out on the way is left in `steps`.
    pub fn take_events<Break>(
        &mut self,
        now: Instant,
        steps: &mut Steps,
        mut each: impl FnMut(ViewerEvent) -> ControlFlow<Break>,
    ) -> ControlFlow<Break> {
        let state = self.stream.state();
        let mut finding = Finding::new(&self.progress);
        while let Some(event) = self.progress.next(&state, now) {
            finding.note(&event);
            each(event)?;
        }
        steps.arrive(finding, &mut self.progress, &state);
        self.ask_for_key(state);
        ControlFlow::Continue(())
    }

    /// What was found out already of what the viewer is to be sent next.
    #[must_use]
    pub fn step<'a>(&self, steps: &'a Steps) -> Option<&'a Step> {
        steps.from(&self.progress)
    }

    /// The viewer is sent what `step` says.
    pub fn go(&mut self, step: &Step) {
        self.progress.go(step);
    }

    /// Has the publisher asked for a key frame, if the viewer waits for one.
    fn ask_for_key(&self, mut state: MutexGuard<'_, State>) {
        if let Some(track) = self.progress.wants_key_of(&state) {
            state.want_key(track);
            drop(state);
            self.stream.wake_publisher();
        }
    }

    /// How many watch now.
    #[must_use]
    pub fn viewers(&self) -> u32 {
        self.stream.state().audience.len()
    }

    /// Sends `track` instead of the one of its kind. `false`: the stream has no such track.
    #[must_use]
    pub fn select(&mut self, track: TrackNumber) -> bool {
        self.progress.select(&self.stream.state(), track)
    }

    /// Somebody behind this guest waits for a key frame of `track`.
    pub fn want_key(&self, track: TrackNumber) {
        let mut state = self.stream.state();
        if state.tracks.iter().any(|info| info.track == track) {
            state.want_key(track);
            drop(state);
            self.stream.wake_publisher();
        }
    }
}

impl Drop for ViewerSeat {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        match &self.progress.guest {
            Guest::Viewer { viewer, viewers_of_relay, .. } => {
                state.audience.leave(*viewer);
                viewers_of_relay.fetch_sub(1, Ordering::Relaxed);
                self.stream.metrics.viewers.dec();
            }
            Guest::Edge => {
                state.edges -= 1;
                self.stream.metrics.edges.dec();
            }
        }
    }
}
