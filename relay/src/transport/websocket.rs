//! Messages over a WebSocket (RFC 6455) on a TCP or TLS connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX, SILENCE_TIME_MAX};
use service::tls::Stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Utf8Bytes,
        error::{Error, ProtocolError},
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{FAREWELL_BYTES_MAX, FAREWELL_TIME_MAX, Message, ReceiveError, SendError, WRITE_TIME_MAX};

/// Bytes of one read. The library zeroes as many before every attempt to read, and it attempts one for every chunk it sends, so
/// they are few; a publisher's chunk still needs only a handful of reads.
const READ_BYTES: usize = 4096;

/// Bytes of a control frame's head, its mask included (RFC 6455 5.2).
const CONTROL_FRAME_HEAD_BYTES: usize = 6;

/// Bytes on the wire of one media message, in however many fragments it comes: its largest size, and the heads of fragments of
/// 256 bytes. Fragments without an end can't go on for ever, not even empty ones.
const MEDIA_WIRE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + MESSAGE_BYTES_MAX / 256 * 8;

/// One WebSocket, the server's side.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Metered>,
    heard_at: Instant,
    said_at: Instant,
}

impl Socket {
    /// A socket on a connection whose handshake is done; `read` are bytes that came behind the handshake. Until
    /// [`Self::allow_media`], no message may be larger than a control message.
    pub async fn new(connection: Stream, read: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            // Every message is written at once: what waits, waits in the window.
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connection = Metered { connection, message_read: 0, media_allowed: false };
        let stream = WebSocketStream::from_partially_read(connection, read, Role::Server, Some(config)).await;
        let now = Instant::now();
        Self { stream, heard_at: now, said_at: now }
    }

    /// From now on messages of [`MESSAGE_BYTES_MAX`] may come.
    pub fn allow_media(&mut self) {
        self.stream.get_mut().media_allowed = true;
    }

    /// The next message. Can be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When the connection is over, or what came is no message or too large.
    pub async fn receive(&mut self) -> Result<Message, ReceiveError> {
        let message = match self.stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(receive_error(&error)),
            None => return Err(ReceiveError::Closed),
        };
        self.heard();
        let metered = self.stream.get_mut();
        match &message {
            // A control frame may stand within a message: it ends nothing.
            tungstenite::Message::Ping(payload) | tungstenite::Message::Pong(payload) => {
                metered.message_read = metered.message_read.saturating_sub(CONTROL_FRAME_HEAD_BYTES + payload.len());
            }
            _ => metered.message_read = 0,
        }
        match message {
            tungstenite::Message::Text(text) if text.len() > CONTROL_BYTES_MAX => Err(ReceiveError::TooLarge),
            tungstenite::Message::Text(text) => Ok(Message::Text(text)),
            tungstenite::Message::Binary(bytes) => Ok(Message::Media(bytes)),
            tungstenite::Message::Close(_) => Err(ReceiveError::Closed),
            _ => Ok(Message::Alive),
        }
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

    /// Sends a control message.
    ///
    /// # Errors
    /// When the connection is lost or too slow; it can't be used any more then.
    pub async fn send_text(&mut self, text: String) -> Result<(), SendError> {
        self.say(tungstenite::Message::Text(Utf8Bytes::from(text))).await
    }

    /// Sends a media message.
    ///
    /// # Errors
    /// As [`Self::send_text`].
    pub async fn send_media(&mut self, message: Bytes) -> Result<(), SendError> {
        self.say(tungstenite::Message::Binary(message)).await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// As [`Self::send_text`].
    pub async fn ping(&mut self) -> Result<(), SendError> {
        self.send(tungstenite::Message::Ping(Bytes::new())).await
    }

    async fn say(&mut self, message: tungstenite::Message) -> Result<(), SendError> {
        self.send(message).await?;
        self.said_at = Instant::now();
        Ok(())
    }

    async fn send(&mut self, message: tungstenite::Message) -> Result<(), SendError> {
        match timeout(WRITE_TIME_MAX, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SendError::Lost),
            Err(_) => Err(SendError::TooSlow),
        }
    }

    /// Says `last` and closes with `code`, in bounded time.
    pub async fn close(mut self, last: Vec<String>, code: u16, reason: &'static str) {
        let farewell = async {
            for text in last {
                self.stream.feed(tungstenite::Message::Text(Utf8Bytes::from(text))).await?;
            }
            self.stream.close(Some(CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) })).await?;
            let connection = self.stream.get_mut();
            connection.connection.shutdown().await?;
            let mut rest = [0; READ_BYTES];
            let mut read_total = 0;
            while read_total < FAREWELL_BYTES_MAX {
                match connection.connection.read(&mut rest).await? {
                    0 => break,
                    read => read_total += read,
                }
            }
            Ok::<_, Error>(())
        };
        // Whether the peer has heard it is the peer's affair.
        let _ = timeout(FAREWELL_TIME_MAX, farewell).await;
    }

    /// Drops the connection without a word, with what is still unsent: for a peer that takes nothing.
    pub fn cut(mut self) {
        // Zero linger: unsent bytes of a peer that takes nothing would occupy the kernel for many minutes.
        let _ = socket2::SockRef::from(self.stream.get_mut().connection.tcp()).set_linger(Some(Duration::ZERO));
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

/// Marks the read error of a message over its limit.
#[derive(Debug, thiserror::Error)]
#[error("the message is over its limit")]
struct OverLimit;

/// A connection that lets nobody send more than a control message before media is allowed, so that strangers and viewers can't make
/// the relay hold large messages.
#[derive(Debug)]
struct Metered {
    connection: Stream,
    /// Bytes read since the last whole message.
    message_read: usize,
    media_allowed: bool,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What follows a message may have been read with it: one read more than the limit is let through.
        let bytes_max = if self.media_allowed { MEDIA_WIRE_BYTES_MAX } else { CONTROL_BYTES_MAX };
        if self.message_read > bytes_max + READ_BYTES {
            return Poll::Ready(Err(io::Error::other(OverLimit)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.connection).poll_read(cx, buffer);
        self.message_read += buffer.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
