//! One stream on this relay: its window, its publisher and its viewers. Knows time only as what it is told.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::{RelayName, StreamId, TrackInfo, TrackNumber};
use tokio::{sync::watch, time::Instant};

use crate::metrics::Metrics;

pub mod audience;
pub mod demand;
pub mod fan_out;
pub(crate) mod moving;
mod publisher_seat;
mod removed;
mod source;
pub mod streams;
mod upstream_seat;
mod viewer_seat;
pub mod window;

use audience::Audience;
use fan_out::{FanOut, Merging};
use moving::Moving;
pub use publisher_seat::{PublisherNotice, PublisherSeat, PushError};
use source::Source;
pub use upstream_seat::{Origin, UpstreamSeat};
pub use viewer_seat::{Joining, Step, Steps, ViewerEvent, ViewerSeat};
use window::Window;

/// How often a publisher is asked at most for a key frame of one track: an encoder needs a few frames' time to answer.
const KEY_FRAME_WANTED_INTERVAL: Duration = Duration::from_millis(500);

/// One stream.
#[derive(Debug)]
pub struct Stream {
    id: StreamId,
    state: Mutex<State>,
    /// Wakes viewers: something in the state is new for them.
    for_viewers: watch::Sender<()>,
    /// Wakes the publisher, and who pulls the stream: something in the state is new for them.
    for_publisher: watch::Sender<()>,
    /// Viewers and relays that it is sent to.
    fan_out: FanOut,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    window: Window,
    tracks: Arc<[TrackInfo]>,
    /// Counts how often the tracks became others.
    tracks_version: u64,
    epoch: u32,
    source: Source,
    /// The relays that the stream comes through before this one, its origin first; none at its origin.
    path: Arc<[RelayName]>,
    /// Until when the broadcaster may repeat what has come from another relay before it came here itself.
    repeats_until: Option<Instant>,
    /// Counts how often epoch or path became others.
    path_version: u64,
    /// Counts the publishers and upstreams this stream has had; the newest one is the one that may send.
    session: u64,
    gone: Option<Gone>,
    /// Where the stream goes on, when its publisher has said so.
    moving: Option<Moving>,
    audience: Audience,
    /// Relays that pull it from here.
    edges: usize,
    announced: Announced,
    keys_wanted: Vec<KeyWanted>,
}

/// Why a stream is no longer here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// It is over.
    Ended,
    /// Its broadcaster was away too long.
    Left,
    /// Nobody sends it to this relay, or no longer.
    NotLive,
}

/// The viewer count that was told last, and how often one was told.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    viewers: u32,
    version: u64,
}

#[derive(Debug)]
struct KeyWanted {
    track: TrackNumber,
    pending: bool,
    asked_at: Option<Instant>,
}

impl Stream {
    /// A stream that no publisher has come for. `epoch` is the highest one that was here before.
    fn new(
        id: StreamId,
        epoch: u32,
        window_bytes: usize,
        merging: Arc<Merging>,
        metrics: Arc<Metrics>,
        now: Instant,
    ) -> Self {
        let state = State {
            window: Window::new(window_bytes),
            tracks: Arc::new([]),
            tracks_version: 0,
            epoch,
            source: Source::left(now),
            path: Arc::new([]),
            repeats_until: None,
            path_version: 0,
            session: 0,
            gone: None,
            moving: None,
            audience: Audience::default(),
            edges: 0,
            announced: Announced::default(),
            keys_wanted: Vec::new(),
        };
        Self {
            id,
            state: Mutex::new(state),
            for_viewers: watch::Sender::new(()),
            for_publisher: watch::Sender::new(()),
            fan_out: FanOut::new(merging),
            metrics,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state usable: every change of it is one that stands by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_viewers(&self) {
        self.for_viewers.send_replace(());
    }

    fn wake_publisher(&self) {
        self.for_publisher.send_replace(());
    }

    fn wake_all(&self) {
        self.wake_viewers();
        self.wake_publisher();
    }

    /// The stream is no longer here: publisher and viewers are told.
    fn leave(&self, gone: Gone) {
        self.state().gone = Some(gone);
        self.wake_all();
    }

    /// Tells the number of viewers to those who have not heard it.
    fn announce_viewers(&self) {
        let mut state = self.state();
        let viewers = state.audience.len();
        if state.announced.viewers == viewers {
            return;
        }
        state.announced = Announced { viewers, version: state.announced.version + 1 };
        drop(state);
        self.wake_all();
    }
}

impl State {
    /// Whether viewers wait for a publisher, and none has ever come, nor an upstream.
    const fn is_awaited(&self) -> bool {
        self.session == 0
    }

    /// Whether anybody is served.
    fn has_guests(&self) -> bool {
        self.edges > 0 || !self.audience.is_empty()
    }

    /// How many relays lie between the broadcaster's and this one.
    fn depth(&self) -> u8 {
        u8::try_from(self.path.len()).unwrap_or(u8::MAX)
    }

    /// The stream is of this publisher from now on, and comes through these relays.
    fn comes_through(&mut self, epoch: u32, path: Vec<RelayName>) {
        if self.epoch != epoch || *self.path != *path {
            self.epoch = epoch;
            self.path = path.into();
            self.path_version += 1;
        }
    }

    /// Begins anew with these tracks.
    fn begin(&mut self, tracks: Vec<TrackInfo>) {
        self.window.begin(&tracks);
        self.tracks = tracks.into();
        self.tracks_version += 1;
    }

    fn want_key(&mut self, track: TrackNumber) {
        match self.keys_wanted.iter_mut().find(|wanted| wanted.track == track) {
            Some(wanted) => wanted.pending = true,
            None => self.keys_wanted.push(KeyWanted { track, pending: true, asked_at: None }),
        }
    }

    fn take_keys_wanted(&mut self, now: Instant) -> Vec<TrackNumber> {
        let due = |wanted: &&mut KeyWanted| {
            wanted.pending && wanted.asked_at.is_none_or(|at| now.duration_since(at) >= KEY_FRAME_WANTED_INTERVAL)
        };
        let take = |wanted: &mut KeyWanted| {
            (wanted.pending, wanted.asked_at) = (false, Some(now));
            wanted.track
        };
        self.keys_wanted.iter_mut().filter(due).map(take).collect()
    }
}
