//! Reads media: puts the segments of each track, each of which comes on a stream of its own, back in order. A segment that has stalled
//! while its successor waits is given up.

mod order;
mod reader;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use protocol::{
    MediaHeader, TrackNumber,
    framing::InvalidFrame,
    limits::TRACKS_MAX,
    media_message::{InvalidMediaMessage, MEDIA_HEADER_BYTES},
    webtransport::STREAM_STALLED,
};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use self::{
    order::{Order, Segment, StreamKey, Verdict},
    reader::{Read, Reader},
};
use crate::session::Session;

/// Messages that are read at once before they are taken: some tracks' worth, so that none waits for another.
const READY_MAX: usize = 16;

/// Why no media comes any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InboxError {
    /// The session is over.
    #[error("the session is over: {0}")]
    Lost(String),
    /// What came is no message.
    #[error(transparent)]
    Frame(#[from] InvalidFrame),
    /// What came is no media message.
    #[error(transparent)]
    Media(#[from] InvalidMediaMessage),
    /// A stream that does not begin with an init segment.
    #[error("a stream of track {0} does not begin with its init segment")]
    InitMissing(TrackNumber),
    /// A stream with something besides one init segment and chunks of one segment.
    #[error("a stream of track {0} holds more than one segment")]
    Mixed(TrackNumber),
    /// More tracks than a stream may have.
    #[error("a stream has at most {TRACKS_MAX} tracks")]
    TooManyTracks,
}

/// The reader of one session's media.
#[derive(Debug)]
pub struct Inbox {
    session: Session,
    order: Order,
    readers: Vec<Reader>,
    /// What is in order and was not taken yet.
    ready: VecDeque<(MediaHeader, Bytes)>,
    /// The init segment of each track that was given last.
    inits: BTreeMap<TrackNumber, Bytes>,
    overdue: Option<Pin<Box<Sleep>>>,
    /// Tracks of which a segment was given up before its end, since that was asked last.
    cut: Vec<TrackNumber>,
}

impl Inbox {
    pub(crate) const fn new(session: Session) -> Self {
        Self {
            session,
            order: Order::new(),
            readers: Vec::new(),
            ready: VecDeque::new(),
            inits: BTreeMap::new(),
            overdue: None,
            cut: Vec::new(),
        }
    }

    /// The next media message: an init segment where it is another than before, then chunks of its track in order. Can be cancelled:
    /// nothing is lost.
    ///
    /// # Errors
    /// When none will come.
    pub async fn next(&mut self) -> Result<(MediaHeader, Bytes), InboxError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Self::next`], for whoever waits for other things as well.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(MediaHeader, Bytes), InboxError>> {
        if let Some(message) = self.ready.pop_front() {
            return Poll::Ready(Ok(message));
        }
        self.poll_streams(cx)?;
        // Each pass reads what the one before has made the turn of.
        while self.poll_readers(cx)? | self.give_up_overdue(cx) {}
        match self.ready.pop_front() {
            Some(message) => Poll::Ready(Ok(message)),
            None => Poll::Pending,
        }
    }

    /// Another sender of these tracks begins: what has come of them is of no use any more, and their init segments are given again.
    pub fn begin_again(&mut self, tracks: &BTreeSet<TrackNumber>) {
        let readers = std::mem::take(&mut self.readers);
        let (before, left): (Vec<_>, Vec<_>) =
            readers.into_iter().partition(|reader| self.is_of_before(reader, tracks));
        self.readers = left;
        self.inits.retain(|track, _| !tracks.contains(track));
        self.ready.retain(|(header, _)| !tracks.contains(&header.track));
        for mut reader in before {
            reader.stop(STREAM_STALLED);
            let next = self.order.end(reader.key);
            self.turn_to(next);
        }
        tracks.iter().for_each(|track| self.order.begin_again(*track));
    }

    /// Whether a stream belongs to an init segment of these tracks that was given.
    fn is_of_before(&self, reader: &Reader, tracks: &BTreeSet<TrackNumber>) -> bool {
        let Some((header, init)) = reader.init.as_ref().filter(|(header, _)| tracks.contains(&header.track)) else {
            return false;
        };
        reader.is_read || self.inits.get(&header.track).is_some_and(|given| payload(given) == payload(init))
    }

    /// Tracks of which a segment was given up before its end, for each time since this was asked last. It was so before the next message
    /// of the track.
    pub fn take_cut(&mut self) -> impl Iterator<Item = TrackNumber> {
        self.cut.drain(..)
    }

    /// Takes the streams that have come.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Result<(), InboxError> {
        loop {
            let accepting = self.session.accept_stream();
            match pin!(accepting).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(stream)) => self.readers.push(Reader::new(stream)),
                Poll::Ready(Err(lost)) => return Err(InboxError::Lost(lost.0)),
            }
        }
    }

    /// Reads what has come; whether it is another stream's turn now.
    fn poll_readers(&mut self, cx: &mut Context<'_>) -> Result<bool, InboxError> {
        let mut changed = false;
        let mut at = 0;
        while at < self.readers.len() && self.ready.len() < READY_MAX {
            if !self.readers[at].is_wanted() {
                at += 1;
                continue;
            }
            match self.readers[at].poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(Read::Chunk(header, chunk))) => {
                    if self.readers[at].segment.is_some() {
                        self.ready.push_back((header, chunk));
                    } else {
                        self.place(at, header, chunk)?;
                    }
                }
                Poll::Ready(Ok(Read::End)) => {
                    let key = self.readers.remove(at).key;
                    let next = self.order.end(key);
                    changed |= self.turn_to(next);
                }
            }
        }
        if self.ready.len() >= READY_MAX {
            // There may be more that would not wake anybody.
            cx.waker().wake_by_ref();
        }
        Ok(changed)
    }

    /// The first chunk of a stream tells which segment it has.
    fn place(&mut self, at: usize, header: MediaHeader, chunk: Bytes) -> Result<(), InboxError> {
        if !self.order.knows(header.track) && self.order.tracks() >= TRACKS_MAX {
            return Err(InboxError::TooManyTracks);
        }
        let reader = &mut self.readers[at];
        let init_captured_at_us = reader.init.as_ref().map_or(0, |(init, _)| init.captured_at_us);
        let segment = Segment { init_captured_at_us, number: header.segment };
        reader.segment = Some(segment);
        reader.first = Some((header, chunk));
        let key = reader.key;
        match self.order.begin(header.track, segment, key, Instant::now()) {
            Verdict::Read => {
                self.turn_to(Some(key));
            }
            Verdict::Wait => {}
            Verdict::Late => self.readers.remove(at).stop(STREAM_STALLED),
        }
        Ok(())
    }

    /// It is this stream's turn; whether there is one.
    fn turn_to(&mut self, key: Option<StreamKey>) -> bool {
        let Some(reader) = key.and_then(|key| self.readers.iter_mut().find(|reader| reader.key == key)) else {
            return false;
        };
        reader.is_read = true;
        if let Some((header, message)) = reader.init.take() {
            let known = self.inits.get(&header.track).is_some_and(|known| payload(known) == payload(&message));
            // The stream may bring no other.
            reader.init = Some((header, Bytes::new()));
            if !known {
                self.inits.insert(header.track, message.clone());
                self.ready.push_back((header, message));
            }
        }
        self.ready.extend(reader.first.take());
        true
    }

    /// Gives up what others have waited for long enough; whether there was any.
    fn give_up_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let mut changed = false;
        while let Some(change) = self.order.overdue(Instant::now()) {
            if let Some(at) = self.readers.iter().position(|reader| Some(reader.key) == change.stop) {
                let mut reader = self.readers.remove(at);
                reader.stop(STREAM_STALLED);
                self.cut.extend(reader.init.map(|(header, _)| header.track));
            }
            changed |= self.turn_to(change.read);
        }
        self.watch_overdue(cx) || changed
    }

    /// Has this task woken when something is overdue; whether something is already.
    fn watch_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due_at) = self.order.due_at() else {
            self.overdue = None;
            return false;
        };
        if self.overdue.as_ref().is_none_or(|sleep| sleep.deadline() != due_at) {
            self.overdue = Some(Box::pin(sleep_until(due_at)));
        }
        self.overdue.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}

fn payload(message: &Bytes) -> &[u8] {
    message.get(MEDIA_HEADER_BYTES..).unwrap_or_default()
}
