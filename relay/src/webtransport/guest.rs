//! A viewer's session and its seat. Two tasks use it in turn: its row's sends what is new, as far as QUIC takes it at once; the viewer's own
//! hears what it asks for, and goes on with what QUIC did not take.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use protocol::{ErrorCode, MediaHeader, TrackKind, TrackNumber, control::ToViewer, limits::KEEP_ALIVE_INTERVAL};
use tokio::time::{Duration, Instant};
use webtransport::{Control, Outbox, Outgoing};

use super::line::{end_of_control, end_of_session};
use crate::{
    connection::{End, text_of},
    edge::SESSION_WORD_INTERVAL,
    house::House,
    stream::{
        ViewerSeat,
        fan_out::{Guest, Turn},
        window::{Delivery, SkipReason, Skipped},
    },
    transport::WRITE_TIME_MAX,
    viewer::said::Said,
};

/// One viewer's line.
#[derive(Debug)]
pub(super) struct Line {
    /// None once it has ended.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    control: Control,
    outbox: Outbox,
    seat: ViewerSeat,
    sounds: BTreeMap<TrackNumber, bool>,
    came_at: Instant,
    said_at: Instant,
    /// How long it is told nothing at most.
    silence_max: Duration,
    /// Why the viewer is to leave.
    end: Option<End>,
    /// The viewer's own task.
    task: Waker,
    house: Arc<House>,
}

impl Line {
    /// A viewer's, or with `is_edge` another relay's.
    pub(super) fn new(control: Control, outbox: Outbox, seat: ViewerSeat, is_edge: bool, house: Arc<House>) -> Self {
        let now = Instant::now();
        let open = Open {
            control,
            outbox,
            seat,
            sounds: BTreeMap::new(),
            came_at: now,
            said_at: now,
            silence_max: if is_edge { SESSION_WORD_INTERVAL } else { KEEP_ALIVE_INTERVAL },
            end: None,
            task: Waker::noop().clone(),
            house,
        };
        Self { open: Mutex::new(Some(open)) }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next words of the viewer, and meanwhile what could not be sent before.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<String, End>> {
        match &mut *self.open() {
            Some(open) => open.poll(cx),
            None => Poll::Ready(Err(End::Left)),
        }
    }

    /// Whether the viewer takes what it is sent.
    ///
    /// # Errors
    /// When it has taken nothing for too long.
    pub(super) fn look(&self) -> Result<(), End> {
        let open = self.open();
        let stalled = open.as_ref().map_or(Duration::ZERO, |open| open.outbox.stalled(Instant::now()));
        if stalled >= WRITE_TIME_MAX { Err(End::TooSlow) } else { Ok(()) }
    }

    /// Sends `track` instead of the one of its kind; whether the stream has it.
    pub(super) fn select(&self, track: TrackNumber) -> bool {
        self.open().as_mut().is_none_or(|open| open.seat.select(track))
    }

    /// Somebody behind this viewer waits for a key frame of `track`.
    pub(super) fn want_key(&self, track: TrackNumber) {
        if let Some(open) = &*self.open() {
            open.seat.want_key(track);
        }
    }

    /// Frees the seat; the control stream and what was not sent yet are left.
    pub(super) fn end(&self) -> Option<(Control, Outbox)> {
        self.open().take().map(|Open { control, outbox, .. }| (control, outbox))
    }
}

impl Guest for Line {
    fn serve(&self, turn: &mut Turn) -> Option<Instant> {
        let mut open = self.open();
        let open = open.as_mut().filter(|open| open.end.is_none())?;
        // What can't be done now is left to the viewer's own task.
        let task = std::mem::replace(&mut open.task, Waker::noop().clone());
        open.send(&mut Context::from_waker(&task), turn.now);
        if open.end.is_some() {
            task.wake_by_ref();
        }
        open.task = task;
        Some(open.life_due())
    }
}

impl Open {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<String, End>> {
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
        }
        self.send(cx, Instant::now());
        match self.end.take() {
            Some(end) => Poll::Ready(Err(end)),
            None => self.control.poll_receive(cx).map_err(end_of_control),
        }
    }

    /// Sends what there is to send, as far as it is taken.
    fn send(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let Err(end) = self.try_send(cx, now) {
            self.end.get_or_insert(end);
        }
    }

    fn try_send(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), End> {
        loop {
            self.gather(now)?;
            self.write_words(cx)?;
            if self.outbox.is_empty() {
                break;
            }
            let was_full = !self.outbox.has_room();
            if let Poll::Ready(Err(lost)) = self.outbox.poll_flush(cx) {
                return Err(end_of_session(lost));
            }
            self.count(now)?;
            // There may be more of the stream where there was no room for it.
            if !was_full || !self.outbox.has_room() {
                break;
            }
        }
        if now >= self.life_due() {
            self.say(&ToViewer::Viewers { count: self.seat.viewers() }, now)?;
        }
        self.write_words(cx)
    }

    /// When the viewer is to be shown life, if nothing is sent before.
    fn life_due(&self) -> Instant {
        self.said_at + self.silence_max
    }

    /// Takes what is next of the stream.
    fn gather(&mut self, now: Instant) -> Result<(), End> {
        while self.outbox.has_room() {
            let Some(event) = self.seat.next_event(now) else { return Ok(()) };
            match Said::of(event, self.seat.stream(), &self.house)? {
                Said::Media(delivery) => self.push(delivery, now)?,
                Said::Words(words) => {
                    if let ToViewer::Watching { tracks, selected, .. } = &words {
                        self.sounds = tracks.iter().map(|info| (info.track, info.kind == TrackKind::Sound)).collect();
                        self.outbox.retire_others(selected);
                    }
                    self.say(&words, now)?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, delivery: Delivery, now: Instant) -> Result<(), End> {
        if let Some(skipped) = delivery.skipped {
            self.tell_skipped(skipped, now)?;
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
    fn count(&mut self, now: Instant) -> Result<(), End> {
        let metrics = &self.house.metrics;
        let (mut chunks, mut bytes) = (0, 0);
        for sent in self.outbox.take_sent() {
            // What was here before is not late: somebody who has just come begins with it.
            if sent.arrived >= self.came_at {
                metrics.lag.note(now.saturating_duration_since(sent.arrived), 1);
            }
            chunks += 1;
            bytes += sent.bytes as u64;
        }
        if chunks > 0 {
            metrics.chunks_out.inc_by(chunks);
            metrics.bytes_out.inc_by(bytes);
            self.said_at = now;
        }
        let skipped: Vec<_> = self.outbox.take_skipped().collect();
        for left_out in skipped {
            let (track, chunks) = (left_out.track, left_out.chunks);
            self.tell_skipped(Skipped { track, chunks, reason: SkipReason::Behind }, now)?;
        }
        Ok(())
    }

    fn tell_skipped(&mut self, skipped: Skipped, now: Instant) -> Result<(), End> {
        self.house.metrics.skipped(&skipped);
        self.say(&ToViewer::Skipped { track: skipped.track, chunks: skipped.chunks }, now)
    }

    fn say(&mut self, words: &ToViewer, now: Instant) -> Result<(), End> {
        self.said_at = now;
        self.control.queue(&text_of(words)).map_err(end_of_control)
    }

    fn write_words(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        match self.control.poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(end_of_control(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }
}
