//! A viewer's connection and its seat. Two tasks use it in turn: its row's sends what is new, as far as the kernel takes it at once; the
//! viewer's own reads, and goes on with what the kernel did not take.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use protocol::{StreamId, TrackNumber, control::ToViewer, limits::KEEP_ALIVE_INTERVAL};
use tokio::time::Instant;

use super::said::Said;
use crate::{
    connection::{End, text_of},
    house::House,
    stream::{
        ViewerEvent, ViewerSeat,
        fan_out::{Guest, Sent, Turn},
        window::Delivery,
    },
    transport::{Message, SendError, WRITE_TIME_MAX, websocket::Socket},
};

/// Most events a viewer is sent by one write.
const EVENTS_AT_ONCE_MAX: usize = 16;

/// Bytes that are gathered before they are written: what was waiting for a viewer that is behind, or for a busy machine, takes few
/// writes, and a newer key frame can still overtake the rest.
const WRITTEN_AT_ONCE_BYTES: usize = 64 * 1024;

/// Writes of a viewer in its row's turn: somebody who is further behind catches up by its own task, while the others are served.
const WRITES_IN_TURN_MAX: usize = 4;

/// One viewer's line.
#[derive(Debug)]
pub(super) struct Line {
    /// None once it has ended.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    out: Outgoing,
    seat: ViewerSeat,
    /// Since when the kernel takes nothing. The viewer's own task goes on when it does.
    stalled_since: Option<Instant>,
    /// The viewer's own task is to go on sending.
    more: bool,
    /// Why the viewer is to leave.
    end: Option<End>,
    /// The viewer's own task.
    task: Waker,
}

/// What goes to the viewer.
#[derive(Debug)]
struct Outgoing {
    socket: Socket,
    stream: StreamId,
    house: Arc<House>,
    came_at: Instant,
}

/// Why nothing more is queued.
enum Enough {
    /// There is as much as one write takes.
    OneWrite,
    /// The viewer is to leave.
    End(End),
}

impl Line {
    pub(super) fn new(socket: Socket, seat: ViewerSeat, house: Arc<House>) -> Self {
        let out = Outgoing { socket, stream: seat.stream(), house, came_at: Instant::now() };
        let open = Open { out, seat, stalled_since: None, more: true, end: None, task: Waker::noop().clone() };
        Self { open: Mutex::new(Some(open)) }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message of the viewer, and meanwhile what could not be sent before.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Message, End>> {
        match &mut *self.open() {
            Some(open) => open.poll(cx),
            None => Poll::Ready(Err(End::Left)),
        }
    }

    /// Asks for a sign of life, unless none was given for too long.
    ///
    /// # Errors
    /// When none was, or the viewer takes nothing.
    pub(super) fn keep_alive(&self, cx: &mut Context<'_>) -> Result<(), End> {
        match &mut *self.open() {
            Some(open) => open.keep_alive(cx),
            None => Ok(()),
        }
    }

    /// Sends `track` instead of the one of its kind; whether the stream has it.
    pub(super) fn select(&self, track: TrackNumber) -> bool {
        self.open().as_mut().is_none_or(|open| {
            open.more = true;
            open.seat.select(track)
        })
    }

    /// Somebody behind this viewer waits for a key frame of `track`.
    pub(super) fn want_key(&self, track: TrackNumber) {
        if let Some(open) = &*self.open() {
            open.seat.want_key(track);
        }
    }

    /// Frees the seat; the connection is left.
    pub(super) fn end(&self) -> Option<Socket> {
        self.open().take().map(|open| open.out.socket)
    }
}

impl Guest for Line {
    fn serve(&self, turn: &mut Turn) -> Option<Instant> {
        let mut open = self.open();
        let open = open.as_mut()?;
        if open.stalled_since.is_some() || open.end.is_some() {
            return None;
        }
        if !open.follow(turn) {
            open.for_task(|open, cx| open.send(cx, turn));
        }
        open.stalled_since.is_none().then(|| open.out.life_due())
    }
}

impl Open {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, End>> {
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
        }
        if self.end.is_none() && (self.more || self.stalled_since.is_some()) {
            let mut turn = Turn::at(Instant::now());
            self.send(cx, &mut turn);
            turn.tell(&self.out.house.metrics);
            if self.more {
                // Others want to be served as well.
                cx.waker().wake_by_ref();
            }
        }
        if let Some(end) = self.end.take() {
            return Poll::Ready(Err(end));
        }
        self.out.socket.poll_receive(cx).map_err(End::from)
    }

    fn keep_alive(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if let Some(since) = self.stalled_since {
            // Pings don't reach it, and it can't be expected to answer.
            return if since.elapsed() >= WRITE_TIME_MAX { Err(End::TooSlow) } else { Ok(()) };
        }
        if self.out.socket.is_silent() {
            return Err(End::silent());
        }
        self.out.socket.queue_ping();
        self.write(cx, Instant::now());
        self.end.take().map_or(Ok(()), Err)
    }

    /// Sends what others were sent who stood at the same place; `false`: there were none, or there is more to do for this one.
    fn follow(&mut self, turn: &mut Turn) -> bool {
        let now = turn.now;
        let Some(step) = self.seat.step(&turn.steps).filter(|_| !self.more) else { return false };
        let out = &mut self.out;
        let written = match step.media() {
            [] if now >= out.life_due() => return false,
            [] => true,
            [delivery] => {
                out.socket.said(now);
                out.socket.write_media(&delivery.chunk)
            }
            media => {
                media.iter().for_each(|delivery| out.socket.queue_media(&delivery.chunk));
                false
            }
        };
        step.media().iter().for_each(|delivery| turn.sent.note(delivery, out.came_at));
        self.seat.go(step);
        if !written {
            self.for_task(|open, cx| {
                open.write(cx, now);
            });
        }
        true
    }

    /// Has `act` leave what it can't do now to the viewer's own task.
    fn for_task(&mut self, act: impl FnOnce(&mut Self, &mut Context<'_>)) {
        let task = std::mem::replace(&mut self.task, Waker::noop().clone());
        act(self, &mut Context::from_waker(&task));
        if self.end.is_some() || self.more {
            task.wake_by_ref();
        }
        self.task = task;
    }

    /// Sends what there is to send, as far as the kernel takes it; [`Self::more`]: there is more than one turn allows.
    fn send(&mut self, cx: &mut Context<'_>, turn: &mut Turn) {
        let Turn { now, steps, sent } = turn;
        let now = *now;
        self.more = false;
        if !self.write(cx, now) {
            return;
        }
        for _ in 0..WRITES_IN_TURN_MAX {
            let mut events = 0;
            let out = &mut self.out;
            let gathered = self.seat.take_events(now, steps, |event| {
                events += 1;
                match out.queue(event, sent) {
                    Err(end) => ControlFlow::Break(Enough::End(end)),
                    Ok(()) if events == EVENTS_AT_ONCE_MAX || out.socket.queued() >= WRITTEN_AT_ONCE_BYTES => {
                        ControlFlow::Break(Enough::OneWrite)
                    }
                    Ok(()) => ControlFlow::Continue(()),
                }
            });
            if gathered.is_continue() {
                self.show_life(now);
            }
            match gathered {
                ControlFlow::Break(Enough::End(end)) => {
                    self.end = Some(end);
                    return;
                }
                ControlFlow::Continue(()) => {
                    self.write(cx, now);
                    return;
                }
                ControlFlow::Break(Enough::OneWrite) if !self.write(cx, now) => return,
                ControlFlow::Break(Enough::OneWrite) => {}
            }
        }
        self.more = true;
    }

    /// Says something, if nothing was said for long: media is not the only sign that the relay lives.
    fn show_life(&mut self, now: Instant) {
        if self.out.socket.queued() == 0 && now >= self.out.life_due() {
            let words = ToViewer::Viewers { count: self.seat.viewers() };
            self.out.socket.queue_text(text_of(&words));
        }
    }

    /// Writes what is queued; whether all of it is written.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.out.socket.is_flushed() {
            return true;
        }
        match self.out.socket.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.out.socket.said(now);
                if self.stalled_since.take().is_some() {
                    // It was not asked for signs of life meanwhile, and this is one: it has made room.
                    self.out.socket.heard();
                }
                return true;
            }
            Poll::Ready(Err(_)) => self.end = Some(SendError::Lost.into()),
            Poll::Pending => {
                self.stalled_since.get_or_insert(now);
            }
        }
        false
    }
}

impl Outgoing {
    /// When the viewer is to be shown life, if nothing is sent before.
    fn life_due(&self) -> Instant {
        self.socket.said_at() + KEEP_ALIVE_INTERVAL
    }

    fn queue(&mut self, event: ViewerEvent, sent: &mut Sent) -> Result<(), End> {
        match Said::of(event, self.stream, &self.house)? {
            Said::Words(words) => self.socket.queue_text(text_of(&words)),
            Said::Media(delivery) => self.queue_media(&delivery, sent),
        }
        Ok(())
    }

    fn queue_media(&mut self, delivery: &Delivery, sent: &mut Sent) {
        if let Some(skipped) = &delivery.skipped {
            self.house.metrics.skipped(skipped);
            let notice = ToViewer::Skipped { track: skipped.track, chunks: skipped.chunks };
            self.socket.queue_text(text_of(&notice));
        }
        if let Some(init) = &delivery.init {
            self.socket.queue_media(init);
        }
        self.socket.queue_media(&delivery.chunk);
        sent.note(delivery, self.came_at);
    }
}
