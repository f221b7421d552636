//! Sends media: each segment of each track on a stream of its own, sound before pictures and newer before older. A segment that came too
//! late to be of use is reset for a newer one.

mod backlog;
mod lane;

use std::{
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use protocol::TrackNumber;
use tokio::time::Instant;

use self::lane::{Lane, Turn};
use crate::{
    session::SessionLost,
    tuning::{FIRST_FLIGHT_BYTES, SEND_SLACK_BYTES, SEND_WINDOW_BYTES_MAX},
};

/// Bytes of chunks that may wait for one session, over all tracks: 400 ms at 20 Mbit/s, after which a segment is given up. Chunks are
/// shared with all others who get them; what does not fit stays with whoever gives them.
pub const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// A chunk to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its track.
    pub track: TrackNumber,
    /// Whether the track is sound.
    pub sound: bool,
    /// The number of its segment.
    pub segment: u32,
    /// Whether the segment begins with it.
    pub key: bool,
    /// The whole message of the track's init segment, where it is the first or another than before.
    pub init: Option<Bytes>,
    /// The whole message.
    pub chunk: Bytes,
    /// When it came to whoever sends it: what it is late by.
    pub arrived: Instant,
}

/// A chunk that was handed over to QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it came to whoever sends it.
    pub arrived: Instant,
    /// Bytes of it, and of the init segment before it.
    pub bytes: usize,
}

/// Chunks that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Their track.
    pub track: TrackNumber,
    /// How many.
    pub chunks: u64,
}

/// The sender of one session's media.
#[derive(Debug)]
pub struct Outbox {
    quic: quinn::Connection,
    stream_head: Bytes,
    lanes: BTreeMap<TrackNumber, Lane>,
    sent: Vec<Sent>,
    send_window: u64,
    /// Since when nothing could be written.
    stalled_since: Option<Instant>,
}

impl Outbox {
    pub(crate) const fn new(quic: quinn::Connection, stream_head: Bytes) -> Self {
        Self {
            quic,
            stream_head,
            lanes: BTreeMap::new(),
            sent: Vec::new(),
            send_window: FIRST_FLIGHT_BYTES + SEND_SLACK_BYTES,
            stalled_since: None,
        }
    }

    /// Takes a chunk. Chunks of a track come in their order.
    pub fn push(&mut self, outgoing: Outgoing) {
        let Outgoing { track, sound, segment, key, init, chunk, arrived } = outgoing;
        let lane = self.lanes.entry(track).or_insert_with(|| Lane::new(sound));
        lane.push(init, segment, key, chunk, arrived);
    }

    /// Whether there is room for more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting_bytes() < WAITING_BYTES_MAX
    }

    /// Bytes that wait, over all tracks.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.lanes.values().map(|lane| lane.backlog.bytes()).sum()
    }

    /// Whether all was handed over to QUIC.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(Lane::is_empty)
    }

    /// How long the oldest chunk that waits has waited.
    #[must_use]
    pub fn behind(&self, now: Instant) -> Duration {
        self.lanes.values().map(|lane| lane.backlog.age(now)).max().unwrap_or_default()
    }

    /// For how long the peer has taken nothing although something waits.
    #[must_use]
    pub fn stalled(&self, now: Instant) -> Duration {
        self.stalled_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Tracks that are not among `tracks` come no more: their streams end with what waits.
    pub fn retire_others(&mut self, tracks: &[TrackNumber]) {
        for (track, lane) in &mut self.lanes {
            lane.set_retired(!tracks.contains(track));
        }
    }

    /// Gives up what is under way of segments before `number`, on all tracks: for whoever decides by itself what is of no use any more, where
    /// numbers only grow.
    pub fn give_up_before(&mut self, number: u32) {
        self.lanes.values_mut().for_each(|lane| lane.give_up_before(number));
    }

    /// Writes what waits, ends all streams, and waits until the peer has taken them. Whoever says on the control stream that all is over
    /// does this first.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn finish(&mut self) -> Result<(), SessionLost> {
        while !self.is_empty() {
            self.flush().await?;
        }
        for lane in self.lanes.values_mut() {
            lane.finish().await?;
        }
        Ok(())
    }

    /// What was handed over since this was asked last.
    pub fn take_sent(&mut self) -> impl Iterator<Item = Sent> {
        self.sent.drain(..)
    }

    /// What was left out since this was asked last.
    pub fn take_skipped(&mut self) -> impl Iterator<Item = Skipped> {
        let left_out =
            self.lanes.iter_mut().map(|(track, lane)| Skipped { track: *track, chunks: lane.take_left_out() });
        left_out.filter(|skipped| skipped.chunks > 0)
    }

    /// Writes what waits, as far as it is of use. Resolves when all is written, when something was left out, and when there is room again
    /// where there was none. Can be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn flush(&mut self) -> Result<(), SessionLost> {
        let had_room = self.has_room();
        poll_fn(|cx| self.poll_write(cx, had_room)).await
    }

    /// Writes what waits, as far as it is of use and is taken at once. Ready when all is written, and when there is room where there was none;
    /// else the task of `cx` is woken when more is taken.
    ///
    /// # Errors
    /// When the session is over.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionLost>> {
        let had_room = self.has_room();
        self.poll_write(cx, had_room)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, had_room: bool) -> Poll<Result<(), SessionLost>> {
        let now = Instant::now();
        let sent_before = self.sent.len();
        for lane in self.lanes.values_mut() {
            lane.give_up_late(now);
        }
        let mut turn = self.turn(cx)?;
        self.lanes.retain(|_, lane| !lane.is_over());
        // Blocked by its own bound, though more may be in flight by now.
        if turn == Turn::Blocked && self.fit_send_window() {
            turn = self.turn(cx)?;
        }
        let has_sent = self.sent.len() > sent_before;
        match turn {
            Turn::Done => self.stalled_since = None,
            Turn::Blocked if has_sent => self.stalled_since = Some(now),
            Turn::Blocked => {
                self.stalled_since.get_or_insert(now);
            }
        }
        if turn == Turn::Done || (!had_room && self.has_room()) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// One turn of every track, sound first.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, SessionLost> {
        let mut turn = Turn::Done;
        for sound in [true, false] {
            for lane in self.lanes.values_mut().filter(|lane| lane.is_sound() == sound) {
                if lane.poll(cx, &self.quic, &self.stream_head, &mut self.sent)? == Turn::Blocked {
                    turn = Turn::Blocked;
                }
            }
        }
        Ok(turn)
    }

    /// Lets a little more wait in QUIC than may be in flight: what waits there is out of reach. Whether it is more than before.
    fn fit_send_window(&mut self) -> bool {
        let window = self.quic.stats().path.cwnd.min(SEND_WINDOW_BYTES_MAX) + SEND_SLACK_BYTES;
        let more = window > self.send_window;
        if window != self.send_window {
            self.send_window = window;
            self.quic.set_send_window(window);
        }
        more
    }
}
