//! All streams of this relay: who may publish and watch, and how long a stream outlives its broadcaster's connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use protocol::{
    ErrorCode, RelayName, StreamId, TrackInfo, ViewerId,
    http::{CarriedStream, Heartbeat, RelayLoad},
    limits::{BROADCASTER_AWAY_TIME_MAX, EDGE_DEPTH_MAX, EDGES_PER_RELAY_MAX, MOVE_OVERLAP_TIME_MAX, TICKET_TIME},
};
use thiserror::Error;
use tokio::{sync::Notify, time::Instant};

use super::{
    Gone, Origin, PublisherSeat, Stream, UpstreamSeat, ViewerSeat, demand::Demand, fan_out::Merging, moving::Moving,
    removed::Removed, source::Source, viewer_seat::Guest,
};
use crate::metrics::Metrics;

/// How often viewer counts are told while they change, and absent broadcasters are looked at.
pub const TICK_INTERVAL: Duration = Duration::from_millis(500);

/// Most streams whose end is remembered: several times what a relay carries within the life of a ticket. Beyond it the oldest is
/// forgotten, and then only its own broadcaster, with a ticket that is still good, could bring it back.
const PAST_STREAMS_MAX: usize = 4096;

/// Most relays that pull one stream from here: directories count them, and may be late.
const EDGES_MAX: usize = 2 * EDGES_PER_RELAY_MAX;

/// How much one relay carries.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Most streams.
    pub streams_max: u32,
    /// Most viewers over all streams.
    pub viewers_max: u32,
    /// Bytes of the window of each stream.
    pub window_bytes: usize,
    /// How long sends may wait for one another while the relay has no time left.
    pub coalesce_max: Duration,
}

/// Who is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Busy {
    /// Streams that are carried, their broadcasters connected or away for a moment.
    pub streams: u32,
    /// Broadcasters that are connected.
    pub publishers: u32,
    /// Viewers.
    pub viewers: u32,
    /// Relays that pull streams from here.
    pub edges: u32,
}

/// Why somebody with a good ticket is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// The relay is full of streams.
    #[error("this relay carries as many streams as it may")]
    TooManyStreams,
    /// The relay is full of viewers.
    #[error("this relay serves as many viewers as it may")]
    TooManyViewers,
    /// The stream has a publisher of the same epoch.
    #[error("somebody is already sending this stream")]
    PublisherPresent,
    /// The ticket is older than a publisher that was here.
    #[error("a newer ticket was issued for this stream; ask the directory for one")]
    StaleEpoch,
    /// The stream was ended.
    #[error("the stream has ended")]
    Ended,
    /// There is nothing to watch (yet).
    #[error("the stream is not sent to this relay at the moment")]
    NotLive,
    /// The viewer was removed.
    #[error("the broadcaster has removed you from this stream")]
    Removed,
    /// The viewer has too many connections.
    #[error("this ticket is in use on as many connections as it may be")]
    TooManyConnections,
    /// The stream has come through too many relays, or too many pull it.
    #[error("as many relays as may get this stream from here, or on this way")]
    TooManyRelays,
    /// The relay that asks for the stream is one that it comes through.
    #[error("the stream comes here from you")]
    Circle,
}

impl Refused {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooManyStreams => ErrorCode::TooManyStreams,
            Self::TooManyViewers => ErrorCode::TooManyViewers,
            Self::PublisherPresent => ErrorCode::PublisherPresent,
            Self::StaleEpoch => ErrorCode::StaleEpoch,
            Self::Ended => ErrorCode::StreamNotFound,
            Self::NotLive | Self::Circle => ErrorCode::StreamNotLive,
            Self::TooManyRelays => ErrorCode::TooManyRelays,
            Self::Removed => ErrorCode::ViewerRemoved,
            Self::TooManyConnections => ErrorCode::TooManyRequests,
        }
    }
}

/// The streams of one relay.
#[derive(Debug)]
pub struct Streams {
    capacity: Capacity,
    rooms: Mutex<Rooms>,
    viewers: Arc<AtomicU32>,
    liveness: Arc<Notify>,
    merging: Arc<Merging>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Rooms {
    streams: HashMap<StreamId, Arc<Stream>>,
    past: HashMap<StreamId, Past>,
    removed: Removed,
}

/// What is remembered of a stream that is no longer carried, for as long as a ticket of its time may be good.
#[derive(Debug, Clone, Copy)]
struct Past {
    epoch: u32,
    /// It was ended, rather than left by its broadcaster.
    ended: bool,
    until: Instant,
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(capacity: Capacity, metrics: Arc<Metrics>) -> Self {
        Self {
            capacity,
            rooms: Mutex::default(),
            viewers: Arc::default(),
            liveness: Arc::default(),
            merging: Arc::new(Merging::new(capacity.coalesce_max)),
            metrics,
        }
    }

    /// The relay used `cpu_percent` of its cores lately: what is sent to viewers goes by it.
    pub fn load_is(&self, cpu_percent: u32) {
        self.merging.load_is(cpu_percent);
    }

    /// Seats a publisher with a verified ticket of `epoch`.
    ///
    /// # Errors
    /// When another one is there, the ticket is outdated, or the relay is full.
    pub fn publish(
        &self,
        id: StreamId,
        epoch: u32,
        tracks: Vec<TrackInfo>,
        now: Instant,
    ) -> Result<PublisherSeat, Refused> {
        let mut rooms = self.rooms();
        rooms.admits(id, epoch)?;
        let stream = match rooms.streams.get(&id) {
            Some(stream) => Arc::clone(stream),
            None => {
                if rooms.streams.len() >= self.capacity.streams_max as usize {
                    // One that is sent comes before one that is only waited for.
                    let awaited = rooms.streams.values().find(|stream| stream.state().is_awaited());
                    let awaited = awaited.map(|stream| stream.id).ok_or(Refused::TooManyStreams)?;
                    rooms.leave(awaited, Gone::NotLive, now);
                }
                Arc::new(self.new_stream(&rooms, id, now))
            }
        };
        let session = stream.seat_publisher(epoch, tracks, now)?;
        rooms.past.remove(&id);
        rooms.streams.insert(id, Arc::clone(&stream));
        self.metrics.streams.set(rooms.streams.len() as i64);
        drop(rooms);
        self.metrics.publishers.inc();
        stream.wake_all();
        let wake = stream.for_publisher.subscribe();
        let liveness = Arc::clone(&self.liveness);
        Ok(PublisherSeat { stream, session, wake, liveness, viewers_version: None, audience_told: None })
    }

    /// Seats a viewer with a verified ticket, who comes at `now`, which is `now_ms` milliseconds since the Unix epoch. Viewers and
    /// broadcasters may arrive in any order: a stream that nobody sends yet is waited for.
    ///
    /// # Errors
    /// When the stream has ended, the relay is full, or the viewer was removed.
    pub fn watch(&self, id: StreamId, viewer: ViewerId, now: Instant, now_ms: u64) -> Result<ViewerSeat, Refused> {
        let mut rooms = self.rooms();
        if rooms.removed.contains(id, viewer) {
            return Err(Refused::Removed);
        }
        let known = rooms.streams.get(&id).map(Arc::clone);
        let is_new = known.is_none();
        let stream = match known {
            Some(stream) => stream,
            None if rooms.past.get(&id).is_some_and(|past| past.ended) => return Err(Refused::Ended),
            None if rooms.streams.len() >= self.capacity.streams_max as usize => return Err(Refused::NotLive),
            None => Arc::new(self.new_stream(&rooms, id, now)),
        };
        // Under the lock of the rooms, so that the count can't pass the maximum.
        if self.viewers.load(Ordering::Relaxed) >= self.capacity.viewers_max {
            return Err(Refused::TooManyViewers);
        }
        let mut state = stream.state();
        if !state.audience.join(viewer, now_ms) {
            return Err(Refused::TooManyConnections);
        }
        self.viewers.fetch_add(1, Ordering::Relaxed);
        self.metrics.viewers.inc();
        let viewers_of_relay = Arc::clone(&self.viewers);
        let guest = Guest::Viewer { viewer, removals: state.audience.removals(), viewers_of_relay };
        let seat = ViewerSeat::new(Arc::clone(&stream), guest, &state);
        drop(state);
        if is_new {
            rooms.streams.insert(id, Arc::clone(&stream));
            self.metrics.streams.set(rooms.streams.len() as i64);
        }
        Ok(seat)
    }

    /// Seats a relay that wants to hand the stream on to viewers of its own.
    ///
    /// # Errors
    /// When the stream is not live here, comes from that relay, or through as many as it may, or when too many pull it.
    pub fn feed(&self, id: StreamId, edge: &RelayName) -> Result<ViewerSeat, Refused> {
        let rooms = self.rooms();
        let Some(stream) = rooms.streams.get(&id) else {
            let has_ended = rooms.past.get(&id).is_some_and(|past| past.ended);
            return Err(if has_ended { Refused::Ended } else { Refused::NotLive });
        };
        let mut state = stream.state();
        if !state.source.is_live() {
            return Err(Refused::NotLive);
        }
        if state.path.contains(edge) {
            return Err(Refused::Circle);
        }
        if state.depth() >= EDGE_DEPTH_MAX || state.edges >= EDGES_MAX {
            return Err(Refused::TooManyRelays);
        }
        state.edges += 1;
        self.metrics.edges.inc();
        Ok(ViewerSeat::new(Arc::clone(stream), Guest::Edge, &state))
    }

    /// Seats another relay that sends the stream, in the place of one that did so before.
    ///
    /// # Errors
    /// When the stream is not here any more, its broadcaster is, or what the relay sends is outdated.
    pub fn pull(&self, id: StreamId, origin: Origin) -> Result<UpstreamSeat, Refused> {
        let mut rooms = self.rooms();
        let stream = Arc::clone(rooms.streams.get(&id).ok_or(Refused::Ended)?);
        let session = stream.seat_upstream(origin)?;
        rooms.past.remove(&id);
        drop(rooms);
        self.metrics.pulls.inc();
        stream.wake_all();
        let wake = stream.for_publisher.subscribe();
        Ok(UpstreamSeat { stream, session, wake, liveness: Arc::clone(&self.liveness) })
    }

    /// What the one who pulls this stream sees of it; `None`: it is not here.
    #[must_use]
    pub fn demand(&self, id: StreamId) -> Option<Demand> {
        let stream = Arc::clone(self.rooms().streams.get(&id)?);
        let wake = stream.for_publisher.subscribe();
        Some(Demand { stream, wake })
    }

    /// Lets go of a stream that nobody watches here and no broadcaster sends here; `false`: somebody does. One that a broadcaster has
    /// sent here waits for it.
    #[must_use]
    pub fn let_go(&self, id: StreamId, now: Instant) -> bool {
        let mut rooms = self.rooms();
        let Some(stream) = rooms.streams.get(&id) else { return true };
        let state = stream.state();
        if state.source.is_broadcaster() || state.has_guests() {
            return false;
        }
        let waits_for_its_broadcaster = state.path.is_empty() && !state.is_awaited();
        drop(state);
        if !waits_for_its_broadcaster {
            rooms.leave(id, Gone::NotLive, now);
            drop(rooms);
            self.tidy();
        }
        true
    }

    /// Ends a stream for good: viewers are told, and a ticket of its epoch or a lower one brings it back no more.
    pub fn end(&self, id: StreamId, now: Instant) {
        self.rooms().leave(id, Gone::Ended, now);
        self.tidy();
    }

    /// Ends a stream that the directory does not want here: it is over, or sent elsewhere. Whether there was anything to end. The end
    /// of one that another relay sends is that relay's to say.
    pub fn end_as_ordered(&self, id: StreamId, now: Instant) -> bool {
        let mut rooms = self.rooms();
        let Some(stream) = rooms.streams.get(&id) else { return false };
        let state = stream.state();
        if state.source.is_upstream() {
            return false;
        }
        // Whoever has not followed a stream that moved is not told that it is over.
        let moved = state.moving.is_some() || !state.path.is_empty();
        drop(state);
        rooms.leave(id, if moved { Gone::NotLive } else { Gone::Ended }, now);
        drop(rooms);
        self.tidy();
        true
    }

    /// Sends the viewers away of streams that come from other relays: this relay is to be empty, and their broadcasters are elsewhere.
    pub fn send_edge_viewers_away(&self, now: Instant) {
        for stream in self.rooms().streams.values() {
            let mut state = stream.state();
            if !state.source.is_broadcaster() && !state.is_awaited() && state.moving.is_none() {
                state.moving = Some(Moving::new(Vec::new(), now));
                drop(state);
                stream.wake_viewers();
            }
        }
    }

    /// Sends a viewer of a stream away, and refuses it from now on; whether that is news.
    pub fn remove_viewer(&self, id: StreamId, viewer: ViewerId, now: Instant) -> bool {
        let mut rooms = self.rooms();
        let news = rooms.removed.insert(id, viewer, now);
        let stream = rooms.streams.get(&id).map(Arc::clone);
        drop(rooms);
        if let Some(stream) = stream.filter(|_| news) {
            stream.state().audience.remove(viewer);
            stream.wake_viewers();
        }
        news
    }

    /// What is due at `now`: viewer counts are told, and streams whose broadcasters were away too long end.
    pub fn tick(&self, now: Instant) {
        let mut rooms = self.rooms();
        let gone: Vec<_> = rooms.streams.values().filter_map(|stream| Some((stream.id, stream.left(now)?))).collect();
        for (id, how) in &gone {
            rooms.leave(*id, *how, now);
        }
        rooms.past.retain(|_, past| now < past.until);
        rooms.removed.forget(now);
        for stream in rooms.streams.values() {
            stream.announce_viewers();
        }
        drop(rooms);
        if !gone.is_empty() {
            self.tidy();
        }
    }

    /// What the relay carries, for the directory. Streams that are waited for are not among them.
    #[must_use]
    pub fn report(&self) -> Heartbeat {
        let rooms = self.rooms();
        let streams = rooms.streams.values().filter_map(|stream| stream.report()).collect();
        Heartbeat {
            viewers: self.viewers.load(Ordering::Relaxed),
            streams,
            load: RelayLoad::default(),
            draining: false,
            webtransport: None,
        }
    }

    /// What is here that a relay which wants to end has to be rid of.
    #[must_use]
    pub fn busy(&self) -> Busy {
        let rooms = self.rooms();
        let mut busy = Busy { viewers: self.viewers.load(Ordering::Relaxed), ..Busy::default() };
        for stream in rooms.streams.values() {
            let state = stream.state();
            busy.streams += u32::from(!state.is_awaited());
            busy.publishers += u32::from(state.source.is_broadcaster());
            busy.edges += u32::try_from(state.edges).unwrap_or(u32::MAX);
        }
        busy
    }

    /// Whether the stream is here, rather than only waited for.
    #[must_use]
    pub fn carries(&self, id: StreamId) -> bool {
        self.rooms().streams.get(&id).is_some_and(|stream| !stream.state().is_awaited())
    }

    /// The directory is to be told something at once.
    pub fn report_now(&self) {
        self.liveness.notify_one();
    }

    /// Waits until a stream became live, was left or ended since the last call returned.
    pub async fn liveness_changed(&self) {
        self.liveness.notified().await;
    }

    fn new_stream(&self, rooms: &Rooms, id: StreamId, now: Instant) -> Stream {
        let epoch = rooms.past.get(&id).map_or(0, |past| past.epoch);
        let (merging, metrics) = (Arc::clone(&self.merging), Arc::clone(&self.metrics));
        Stream::new(id, epoch, self.capacity.window_bytes, merging, metrics, now)
    }

    fn tidy(&self) {
        self.metrics.streams.set(self.rooms().streams.len() as i64);
        self.liveness.notify_one();
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        // As for the state of one stream: every change stands by itself.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    fn admits(&self, id: StreamId, epoch: u32) -> Result<(), Refused> {
        match self.past.get(&id) {
            Some(past) if epoch < past.epoch => Err(Refused::StaleEpoch),
            Some(past) if epoch == past.epoch && past.ended => Err(Refused::Ended),
            _ => Ok(()),
        }
    }

    fn leave(&mut self, id: StreamId, gone: Gone, now: Instant) {
        let Some(stream) = self.streams.remove(&id) else { return };
        stream.leave(gone);
        if stream.state().is_awaited() {
            // Nothing of it was here that a ticket could be older than.
            return;
        }
        let ended = gone == Gone::Ended;
        if self.past.len() >= PAST_STREAMS_MAX
            && let Some(oldest) = self.past.iter().min_by_key(|(_, past)| past.until).map(|(id, _)| *id)
        {
            self.past.remove(&oldest);
        }
        let epoch = stream.state().epoch;
        self.past.insert(id, Past { epoch, ended, until: now + TICKET_TIME });
    }
}

impl Stream {
    /// Makes the caller the publisher; gives the number of its session.
    fn seat_publisher(&self, epoch: u32, tracks: Vec<TrackInfo>, now: Instant) -> Result<u64, Refused> {
        let mut state = self.state();
        let connected = state.source.is_broadcaster();
        if epoch < state.epoch {
            return Err(Refused::StaleEpoch);
        }
        if epoch == state.epoch && connected {
            return Err(Refused::PublisherPresent);
        }
        let came_from_upstream = !state.path.is_empty();
        state.comes_through(epoch, Vec::new());
        state.repeats_until = None;
        state.session += 1;
        state.source = Source::Broadcaster { chunk_arrived: false };
        state.keys_wanted.clear();
        state.moving = None;
        if *state.tracks == *tracks && came_from_upstream {
            state.repeats_until = Some(now + MOVE_OVERLAP_TIME_MAX);
        } else if *state.tracks == *tracks {
            state.window.begin_again();
        } else {
            state.begin(tracks);
        }
        Ok(state.session)
    }

    /// How the stream is gone, when its publisher was away too long.
    fn left(&self, now: Instant) -> Option<Gone> {
        let state = self.state();
        match state.source {
            Source::Nobody { since, .. } if now.duration_since(since) >= BROADCASTER_AWAY_TIME_MAX => {
                // Whoever has not followed a stream that moved is not told that it is over, nor does an edge know that.
                let is_elsewhere = state.moving.is_some() || !state.path.is_empty();
                Some(if state.is_awaited() || is_elsewhere { Gone::NotLive } else { Gone::Left })
            }
            _ => None,
        }
    }

    fn report(&self) -> Option<CarriedStream> {
        let state = self.state();
        if state.is_awaited() {
            return None;
        }
        let (live, viewers, depth) = (state.source.is_live(), state.audience.len(), state.depth());
        Some(CarriedStream { stream: self.id, epoch: state.epoch, live, viewers, depth })
    }
}

#[cfg(test)]
mod tests;
