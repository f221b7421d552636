//! Reads the stream of one segment: its track's init segment, then its chunks.

use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use protocol::{
    MediaHeader, MediaKind, framing::FrameReader, limits::MESSAGE_BYTES_MAX, media_message::InvalidMediaMessage,
};
use quinn::VarInt;

use super::{
    InboxError,
    order::{Segment, StreamKey},
};
use crate::codes;

/// Bytes that are taken from QUIC at a time.
const READ_BYTES_MAX: usize = 64 * 1024;

/// One stream.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) key: StreamKey,
    stream: wtransport::RecvStream,
    frames: FrameReader,
    /// What came and was not taken apart yet.
    piece: Bytes,
    /// Its init segment, once it has come.
    pub(super) init: Option<(MediaHeader, Bytes)>,
    /// Its segment, once the first chunk has come; and whether it is its turn.
    pub(super) segment: Option<Segment>,
    pub(super) is_read: bool,
    /// The first chunk, until it is taken.
    pub(super) first: Option<(MediaHeader, Bytes)>,
}

/// What a stream has.
#[derive(Debug)]
pub(super) enum Read {
    /// A chunk.
    Chunk(MediaHeader, Bytes),
    /// No more.
    End,
}

impl Reader {
    pub(super) fn new(stream: wtransport::RecvStream) -> Self {
        Self {
            key: stream.id().into_u64(),
            stream,
            frames: FrameReader::new(MESSAGE_BYTES_MAX),
            piece: Bytes::new(),
            init: None,
            segment: None,
            is_read: false,
            first: None,
        }
    }

    /// Whether anything is to be read now: until its segment is known, and in its turn.
    pub(super) const fn is_wanted(&self) -> bool {
        self.is_read || self.segment.is_none()
    }

    /// The next chunk. The init segment is kept.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, InboxError>> {
        loop {
            let Some(message) = self.frames.next(&mut self.piece)? else {
                match ready!(self.poll_piece(cx))? {
                    Some(piece) => self.piece = piece,
                    None => {
                        self.frames.end()?;
                        return Poll::Ready(Ok(Read::End));
                    }
                }
                continue;
            };
            let header = match MediaHeader::decode(&message) {
                Ok((header, _)) => header,
                // Of a later version, perhaps.
                Err(InvalidMediaMessage::UnknownKind(_)) => continue,
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            match (header.kind, &self.init) {
                (MediaKind::Init, None) => self.init = Some((header, message)),
                (MediaKind::Chunk, None) => return Poll::Ready(Err(InboxError::InitMissing(header.track))),
                (MediaKind::Chunk, Some((init, _))) if init.track == header.track && self.fits(&header) => {
                    return Poll::Ready(Ok(Read::Chunk(header, message)));
                }
                _ => return Poll::Ready(Err(InboxError::Mixed(header.track))),
            }
        }
    }

    fn fits(&self, header: &MediaHeader) -> bool {
        self.segment.is_none_or(|segment| segment.number == header.segment)
    }

    /// What comes next of the stream; none at its end, also when the sender has cut it short.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, InboxError>> {
        let read = pin!(self.stream.quic_stream_mut().read_chunk(READ_BYTES_MAX, true));
        Poll::Ready(match ready!(read.poll(cx)) {
            Ok(piece) => Ok(piece.map(|piece| piece.bytes)),
            Err(quinn::ReadError::Reset(_)) => {
                self.frames = FrameReader::new(MESSAGE_BYTES_MAX);
                Ok(None)
            }
            Err(error) => Err(InboxError::Lost(error.to_string())),
        })
    }

    /// Wants no more of it.
    pub(super) fn stop(&mut self, code: u32) {
        let wire: VarInt = codes::to_http3(code);
        // It may have ended meanwhile.
        let _ = self.stream.quic_stream_mut().stop(wire);
    }
}
