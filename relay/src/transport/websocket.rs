//! Messages over a WebSocket (RFC 6455) on a TCP or TLS connection. A library reads them; frames are written here, so that a chunk's
//! bytes are shared by all who get it, and several messages take one write.

mod frames;
mod wire;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::StreamExt as _;
use protocol::limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX, SILENCE_TIME_MAX};
use service::tls::Stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes,
        error::{Error, ProtocolError},
        protocol::{Role, WebSocketConfig},
    },
};

pub(super) use self::frames::media_head as frame_head;
use self::{
    frames::{Frames, Opcode, SLICES_MAX},
    wire::{OverLimit, Wire},
};
use super::{FAREWELL_BYTES_MAX, FAREWELL_TIME_MAX, MediaFrame, Message, ReceiveError, SendError, WRITE_TIME_MAX};

/// Bytes of one read. The library zeroes as many before every attempt to read, and every viewer holds room for them, so they are few; a
/// publisher's chunk still needs only a handful of reads.
const READ_BYTES: usize = 2048;

/// Bytes of a control frame's head, its mask included (RFC 6455 5.2).
const CONTROL_FRAME_HEAD_BYTES: usize = 6;

/// One WebSocket, the server's side.
#[derive(Debug)]
pub struct Socket {
    reader: WebSocketStream<Wire>,
    frames: Frames,
    /// What was written may still wait in the TLS connection.
    is_flushing: bool,
    heard_at: Instant,
    said_at: Instant,
}

impl Socket {
    /// A socket on a connection whose handshake is done; `read` are bytes that came behind the handshake. Until
    /// [`Self::allow_media`], no message may be larger than a control message.
    pub async fn new(connection: Stream, read: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let wire = Wire::new(connection);
        let reader = WebSocketStream::from_partially_read(wire, read, Role::Server, Some(config)).await;
        let now = Instant::now();
        Self { reader, frames: Frames::default(), is_flushing: false, heard_at: now, said_at: now }
    }

    /// From now on messages of [`MESSAGE_BYTES_MAX`] may come.
    pub fn allow_media(&mut self) {
        self.reader.get_mut().allow_media();
    }

    /// The next message. Can be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When the connection is over, or what came is no message or too large.
    pub async fn receive(&mut self) -> Result<Message, ReceiveError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// [`Self::receive`], for whoever waits for other things as well.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, ReceiveError>> {
        let message = match ready!(self.poll_message(cx)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Err(receive_error(&error))),
            None => return Poll::Ready(Err(ReceiveError::Closed)),
        };
        self.heard();
        let wire = self.reader.get_mut();
        match &message {
            // A control frame may stand within a message: it ends nothing.
            tungstenite::Message::Ping(payload) | tungstenite::Message::Pong(payload) => {
                wire.message_read = wire.message_read.saturating_sub(CONTROL_FRAME_HEAD_BYTES + payload.len());
            }
            _ => wire.message_read = 0,
        }
        Poll::Ready(match message {
            tungstenite::Message::Text(text) if text.len() > CONTROL_BYTES_MAX => Err(ReceiveError::TooLarge),
            tungstenite::Message::Text(text) => Ok(Message::Text(text)),
            tungstenite::Message::Binary(bytes) => Ok(Message::Media(bytes)),
            tungstenite::Message::Close(_) => Err(ReceiveError::Closed),
            _ => Ok(Message::Alive),
        })
    }

    /// The next message, and replies to the ones before, as far as the peer takes them.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<tungstenite::Message, Error>>> {
        let message = self.reader.poll_next_unpin(cx);
        if self.frames.unwritten() == 0
            && let Poll::Ready(Err(error)) = self.reader.get_mut().poll_replies(cx)
        {
            return Poll::Ready(Some(Err(error.into())));
        }
        message
    }

    /// The peer is to be taken for one that was heard now.
    pub fn heard(&mut self) {
        self.heard_at = Instant::now();
    }

    /// Whether nothing was heard for too long.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.heard_at.elapsed() >= SILENCE_TIME_MAX
    }

    /// When the peer was told something last that a page can see; pings are not.
    #[must_use]
    pub const fn said_at(&self) -> Instant {
        self.said_at
    }

    /// Has a control message written by the next [`Self::flush`].
    pub fn queue_text(&mut self, text: String) {
        self.frames.push(Opcode::Text, text.into());
    }

    /// Has a media message written by the next [`Self::flush`].
    pub fn queue_media(&mut self, message: &MediaFrame) {
        self.frames.push_framed(message.frame().clone());
    }

    /// Writes a media message as far as the kernel takes it now, and has the rest written by the next [`Self::flush`]; whether there is no
    /// rest. Nothing is asked of the queue where it is empty, which it nearly always is.
    pub fn write_media(&mut self, message: &MediaFrame) -> bool {
        let wire = self.reader.get_ref();
        let written = match &wire.connection {
            Stream::Plain(socket) if self.is_flushed() && !wire.has_replies() => {
                // Whatever is wrong with the connection is found again by the flush.
                socket.try_write(message.frame()).unwrap_or(0)
            }
            _ => 0,
        };
        if written == message.frame().len() {
            return true;
        }
        self.queue_media(message);
        self.frames.advance(written);
        false
    }

    /// Bytes that wait for the next [`Self::flush`].
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.frames.unwritten()
    }

    /// Whether everything that was queued is out of this process.
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.frames.unwritten() == 0 && !self.is_flushing
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// When the connection is lost or too slow; it can't be used any more then.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        if self.is_flushed() {
            return Ok(());
        }
        self.write().await?;
        self.said_at = Instant::now();
        Ok(())
    }

    /// Sends a control message.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn send_text(&mut self, text: String) -> Result<(), SendError> {
        self.queue_text(text);
        self.flush().await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn ping(&mut self) -> Result<(), SendError> {
        self.queue_ping();
        self.write().await
    }

    /// Has a ping written by the next [`Self::flush`].
    pub fn queue_ping(&mut self) {
        self.frames.push(Opcode::Ping, Bytes::new());
    }

    /// Takes note that the peer was told something at `now` that a page can see.
    pub const fn said(&mut self, now: Instant) {
        self.said_at = now;
    }

    async fn write(&mut self) -> Result<(), SendError> {
        match timeout(WRITE_TIME_MAX, poll_fn(|cx| self.poll_flush(cx))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SendError::Lost),
            Err(_) => Err(SendError::TooSlow),
        }
    }

    /// Writes what is queued, as far as the kernel takes it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { reader, frames, is_flushing, .. } = self;
        *is_flushing = true;
        let wire = reader.get_mut();
        if !frames.is_within_frame() {
            ready!(wire.poll_replies(cx))?;
        }
        while frames.unwritten() > 0 {
            let connection = Pin::new(&mut wire.connection);
            let written = match frames.only_slice() {
                Some(slice) => ready!(connection.poll_write(cx, slice))?,
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    let used = frames.slices(&mut slices);
                    ready!(connection.poll_write_vectored(cx, &slices[..used]))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            frames.advance(written);
        }
        ready!(Pin::new(&mut wire.connection).poll_flush(cx))?;
        *is_flushing = false;
        Poll::Ready(Ok(()))
    }

    /// Says `last` and closes with `code`, in bounded time.
    pub async fn close(mut self, last: Vec<String>, code: u16, reason: &'static str) {
        let farewell = async {
            last.into_iter().for_each(|text| self.queue_text(text));
            let mut payload = code.to_be_bytes().to_vec();
            payload.extend_from_slice(reason.as_bytes());
            self.frames.push(Opcode::Close, payload.into());
            poll_fn(|cx| self.poll_flush(cx)).await?;
            let connection = &mut self.reader.get_mut().connection;
            connection.shutdown().await?;
            // On the heap: the future of every connection would have room for it from its begin on.
            let mut rest = vec![0; READ_BYTES];
            let mut read_total = 0;
            while read_total < FAREWELL_BYTES_MAX {
                match connection.read(&mut rest).await? {
                    0 => break,
                    read => read_total += read,
                }
            }
            io::Result::Ok(())
        };
        // Whether the peer has heard it is the peer's affair.
        let _ = timeout(FAREWELL_TIME_MAX, farewell).await;
    }

    /// Drops the connection without a word, with what is still unsent: for a peer that takes nothing.
    pub fn cut(mut self) {
        // Zero linger: unsent bytes of a peer that takes nothing would occupy the kernel for many minutes.
        let _ = socket2::SockRef::from(self.reader.get_mut().connection.tcp()).set_linger(Some(Duration::ZERO));
    }
}

fn receive_error(error: &Error) -> ReceiveError {
    match error {
        Error::Capacity(_) => ReceiveError::TooLarge,
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<OverLimit>()) => ReceiveError::TooLarge,
        Error::ConnectionClosed | Error::AlreadyClosed => ReceiveError::Closed,
        Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => ReceiveError::Lost,
        error => ReceiveError::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
