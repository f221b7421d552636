//! The connection under the library that reads a WebSocket: bounds what is read of a message, and holds what the library would
//! write by itself until no other frame is being written.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use protocol::limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX};
use service::tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::READ_BYTES;

/// Bytes on the wire of one media message, in however many fragments it comes: its largest size, and the heads of fragments of
/// 256 bytes. Fragments without an end can't go on for ever, not even empty ones.
const MEDIA_WIRE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + MESSAGE_BYTES_MAX / 256 * 8;

/// Bytes of one read of a peer that sends media: a chunk of 10 Mbit/s and the sound beside it come by one call.
const AHEAD_BYTES: usize = 48 * 1024;

/// Bytes of replies to pings that wait: some thirty of the largest. A peer that asks more and takes none is no viewer.
const REPLIES_BYTES_MAX: usize = 4096;

/// A connection that lets nobody send more than a control message before media is allowed, so that strangers and viewers can't make
/// the relay hold large messages.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) connection: Stream,
    /// Bytes read since the last whole message.
    pub(super) message_read: usize,
    /// Room for what one read brings of a peer that may send media, in which it waits for the library's smaller reads; none for others.
    ahead: Option<Box<ReadAhead>>,
    /// Whole frames that the library wants written: pongs, and the answer to a close frame.
    replies: BytesMut,
}

/// Marks the read error of a message over its limit.
#[derive(Debug, thiserror::Error)]
#[error("the message is over its limit")]
pub(super) struct OverLimit;

impl Wire {
    pub(super) fn new(connection: Stream) -> Self {
        Self { connection, message_read: 0, ahead: None, replies: BytesMut::new() }
    }

    /// From now on media messages may come.
    pub(super) fn allow_media(&mut self) {
        self.ahead.get_or_insert_default();
    }

    /// Whether replies wait, or the rest of one.
    pub(super) fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Writes the replies that wait. To be called when no other frame is written in part.
    pub(super) fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_replies() {
            return Poll::Ready(Ok(()));
        }
        while !self.replies.is_empty() {
            let written = ready!(Pin::new(&mut self.connection).poll_write(cx, &self.replies))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replies.advance(written);
        }
        Pin::new(&mut self.connection).poll_flush(cx)
    }
}

/// What was read and not asked for yet.
#[derive(Debug)]
struct ReadAhead {
    bytes: [u8; AHEAD_BYTES],
    begin: usize,
    end: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { bytes: [0; AHEAD_BYTES], begin: 0, end: 0 }
    }
}

impl ReadAhead {
    fn poll_read(
        &mut self,
        connection: &mut Stream,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin == self.end {
            let mut room = ReadBuf::new(&mut self.bytes);
            ready!(Pin::new(connection).poll_read(cx, &mut room))?;
            (self.begin, self.end) = (0, room.filled().len());
        }
        let taken = buffer.remaining().min(self.end - self.begin);
        buffer.put_slice(&self.bytes[self.begin..self.begin + taken]);
        self.begin += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What follows a message may have been read with it: one read more than the limit is let through.
        let bytes_max = if self.ahead.is_some() { MEDIA_WIRE_BYTES_MAX } else { CONTROL_BYTES_MAX };
        if self.message_read > bytes_max + READ_BYTES {
            return Poll::Ready(Err(io::Error::other(OverLimit)));
        }
        let before = buffer.filled().len();
        let Self { connection, ahead, .. } = &mut *self;
        let polled = match ahead {
            Some(ahead) => ahead.poll_read(connection, cx, buffer),
            None => Pin::new(connection).poll_read(cx, buffer),
        };
        self.message_read += buffer.filled().len() - before;
        polled
    }
}

/// What the library writes waits in the replies.
impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.replies.len() + bytes.len() > REPLIES_BYTES_MAX {
            return Poll::Ready(Err(io::Error::other("the peer takes no replies")));
        }
        self.replies.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
