//! The way of one track: what waits, and the stream of the segment that is under way.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use protocol::{
    framing::{FRAME_HEAD_BYTES, frame_head},
    webtransport::STREAM_SKIPPED,
};
use quinn::{ConnectionError, SendStream, WriteError};
use tokio::time::Instant;

use super::{
    Sent,
    backlog::{Backlog, Segment, Waiting},
};
use crate::{codes, session::SessionLost};

/// Sound goes before all pictures.
const SOUND_PRIORITY: i32 = 1 << 24;

/// Newer segments go before older ones; the number wraps after a year of segments of 2 s.
const SEGMENT_PRIORITY_MASK: u32 = (1 << 24) - 1;

/// A stream that is being opened.
type Opening = Pin<Box<dyn Future<Output = Result<SendStream, ConnectionError>> + Send + Sync>>;

#[derive(Debug)]
pub(super) struct Lane {
    sound: bool,
    /// The newest init segment, and how many there were.
    init: Bytes,
    era: u32,
    pub(super) backlog: Backlog,
    way: Way,
    /// What of the chunk under way was not taken yet, from `taken` on.
    pieces: Vec<Bytes>,
    taken: usize,
    /// Chunks that were left out since this was asked last.
    left_out: u64,
    /// No more chunks come.
    retired: bool,
}

/// The stream of a segment.
enum Way {
    /// None.
    Closed,
    /// It is being opened.
    Opening(Segment, Opening),
    Open(Segment, SendStream),
    /// The reader has given the segment up: the next one goes on.
    GivenUp(Segment),
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// All is written.
    Done,
    /// The rest has to wait.
    Blocked,
}

impl Lane {
    pub(super) fn new(sound: bool) -> Self {
        Self {
            sound,
            init: Bytes::new(),
            era: 0,
            backlog: Backlog::default(),
            way: Way::Closed,
            pieces: Vec::new(),
            taken: 0,
            left_out: 0,
            retired: false,
        }
    }

    /// Whether more chunks come.
    pub(super) const fn set_retired(&mut self, retired: bool) {
        self.retired = retired;
    }

    /// Whether all of a retired track is written. Its stream ends with it.
    pub(super) fn is_over(&self) -> bool {
        self.retired && self.is_empty() && self.left_out == 0
    }

    /// Ends the stream, and waits until the reader has taken it.
    pub(super) async fn finish(&mut self) -> Result<(), SessionLost> {
        let Way::Open(_, mut stream) = std::mem::replace(&mut self.way, Way::Closed) else { return Ok(()) };
        // One that the reader has stopped is over as well.
        let _ = stream.finish();
        stream.stopped().await.map(drop).map_err(|error| SessionLost(error.to_string()))
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.sound
    }

    pub(super) fn push(&mut self, init: Option<Bytes>, segment: u32, key: bool, chunk: Bytes, arrived: Instant) {
        if let Some(init) = init {
            self.init = init;
            self.era = self.era.wrapping_add(1);
        }
        self.retired = false;
        let segment = Segment { era: self.era, number: segment };
        self.backlog.push(Waiting { segment, key, init: self.init.clone(), chunk, arrived });
    }

    /// Whether nothing waits and no chunk is half written.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog.front().is_none() && self.pieces.is_empty()
    }

    /// Chunks that were left out since this was asked last.
    pub(super) const fn take_left_out(&mut self) -> u64 {
        std::mem::replace(&mut self.left_out, 0)
    }

    /// Gives the segment under way up when it is late and a newer one is there.
    pub(super) fn give_up_late(&mut self, now: Instant) {
        let left_out = self.backlog.give_up_late(now);
        if left_out == 0 {
            return;
        }
        self.left_out += left_out;
        let going_on = self.backlog.front().map(|waiting| waiting.segment);
        if self.way.segment() != going_on {
            self.reset();
        }
    }

    /// Segments before `number` are of no use any more, by whoever decides it.
    pub(super) fn give_up_before(&mut self, number: u32) {
        while let Some(waiting) = self.backlog.front().filter(|waiting| waiting.segment.number < number) {
            let segment = waiting.segment;
            self.left_out += self.backlog.leave_out_segment(segment);
        }
        if self.way.segment().is_some_and(|segment| segment.number < number) {
            self.reset();
        }
    }

    /// The segment under way is of no use any more.
    pub(super) fn reset(&mut self) {
        if let Way::Open(_, stream) = &mut self.way {
            // It may have been stopped meanwhile.
            let _ = stream.reset(codes::to_http3(STREAM_SKIPPED));
        }
        self.drop_pieces();
        self.way = Way::Closed;
    }

    /// The half of a chunk that was not written is not written any more.
    fn drop_pieces(&mut self) {
        if !self.pieces.is_empty() {
            self.left_out += 1;
        }
        self.pieces.clear();
        self.taken = 0;
    }

    /// Writes what can be written now.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        quic: &quinn::Connection,
        stream_head: &Bytes,
        sent: &mut Vec<Sent>,
    ) -> Result<Turn, SessionLost> {
        loop {
            if !self.pieces.is_empty() {
                match self.poll_pieces(cx)? {
                    Turn::Done => continue,
                    Turn::Blocked => return Ok(Turn::Blocked),
                }
            }
            let Some(next) = self.backlog.front() else { return Ok(Turn::Done) };
            match &mut self.way {
                Way::Open(segment, _) if *segment == next.segment => self.begin_chunk(None, sent),
                Way::GivenUp(segment) if *segment == next.segment => {
                    let segment = *segment;
                    self.left_out += self.backlog.leave_out_segment(segment);
                }
                Way::Opening(segment, opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => return Ok(Turn::Blocked),
                    Poll::Ready(Err(error)) => return Err(SessionLost(error.to_string())),
                    Poll::Ready(Ok(stream)) => {
                        // A stream that nothing was written to is not stopped yet.
                        let _ = stream.set_priority(priority(self.sound, segment.number));
                        let segment = *segment;
                        self.way = Way::Open(segment, stream);
                        if self.backlog.front().is_some_and(|next| next.segment == segment) {
                            self.begin_chunk(Some(stream_head), sent);
                        } else {
                            self.reset();
                        }
                    }
                },
                // A segment is joined at its beginning alone.
                _ if !next.key => {
                    let segment = next.segment;
                    self.left_out += self.backlog.leave_out_segment(segment);
                }
                way => {
                    if let Way::Open(_, stream) = way {
                        // It is whole. One that the reader has stopped is over as well.
                        let _ = stream.finish();
                    }
                    let quic = quic.clone();
                    *way = Way::Opening(next.segment, Box::pin(async move { quic.open_uni().await }));
                }
            }
        }
    }

    /// Has the first chunk that waits written; `stream_head`: with what its stream begins with.
    fn begin_chunk(&mut self, stream_head: Option<&Bytes>, sent: &mut Vec<Sent>) {
        let Some(waiting) = self.backlog.pop() else { return };
        let chunk_head = frame_head(waiting.chunk.len());
        let mut bytes = waiting.chunk.len();
        let before = match stream_head {
            None => Bytes::copy_from_slice(&chunk_head),
            Some(stream_head) => {
                let init = &waiting.init;
                bytes += init.len();
                let room = stream_head.len() + init.len() + 2 * FRAME_HEAD_BYTES;
                let mut before = BytesMut::with_capacity(room);
                before.put_slice(stream_head);
                before.put_slice(&frame_head(init.len()));
                before.put_slice(init);
                before.put_slice(&chunk_head);
                before.freeze()
            }
        };
        self.pieces.extend([before, waiting.chunk]);
        sent.push(Sent { arrived: waiting.arrived, bytes });
    }

    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Result<Turn, SessionLost> {
        let Way::Open(segment, stream) = &mut self.way else {
            self.drop_pieces();
            return Ok(Turn::Done);
        };
        let written = {
            let write = pin!(stream.write_chunks(&mut self.pieces[self.taken..]));
            write.poll(cx)
        };
        match written {
            Poll::Pending => return Ok(Turn::Blocked),
            Poll::Ready(Ok(written)) => {
                self.taken += written.chunks;
                if self.taken == self.pieces.len() {
                    self.pieces.clear();
                    self.taken = 0;
                }
            }
            Poll::Ready(Err(WriteError::Stopped(_) | WriteError::ClosedStream)) => {
                self.way = Way::GivenUp(*segment);
                self.drop_pieces();
            }
            Poll::Ready(Err(error)) => return Err(SessionLost(error.to_string())),
        }
        Ok(Turn::Done)
    }
}

impl Way {
    const fn segment(&self) -> Option<Segment> {
        match self {
            Self::Closed => None,
            Self::Opening(segment, _) | Self::Open(segment, _) | Self::GivenUp(segment) => Some(*segment),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Closed => "Closed",
            Self::Opening(..) => "Opening",
            Self::Open(..) => "Open",
            Self::GivenUp(_) => "GivenUp",
        };
        f.debug_tuple(word).field(&self.segment()).finish()
    }
}

fn priority(sound: bool, segment: u32) -> i32 {
    // At most 2^25: below the control stream's.
    (segment & SEGMENT_PRIORITY_MASK) as i32 + if sound { SOUND_PRIORITY } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_goes_before_pictures_and_newer_segments_before_older() {
        assert!(priority(true, 0) > priority(false, u32::MAX));
        assert!(priority(false, 8) > priority(false, 7) && priority(true, 8) > priority(true, 7));
    }
}
