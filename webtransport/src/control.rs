//! The control stream of a session: JSON messages both ways, each behind its length.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use protocol::{
    framing::{FrameReader, InvalidFrame, framed},
    limits::CONTROL_BYTES_MAX,
};
use thiserror::Error;
use tokio::time::timeout;

/// Control messages go before all media.
const PRIORITY: i32 = i32::MAX;

/// Bytes that may wait to be written: some largest messages. A peer that takes none of it listens no more.
const WAITING_BYTES_MAX: usize = 4 * CONTROL_BYTES_MAX;

/// The control stream.
#[derive(Debug)]
pub struct Control {
    sender: wtransport::SendStream,
    receiver: wtransport::RecvStream,
    frames: FrameReader,
    /// What came and was not taken apart yet.
    piece: Bytes,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

/// Why there is no control message, or it can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    /// The peer has ended the control stream.
    #[error("the peer has ended the control stream")]
    Closed,
    /// The session is over.
    #[error("the session broke")]
    Lost,
    /// What came is no message.
    #[error(transparent)]
    Frame(#[from] InvalidFrame),
    /// What came is no text.
    #[error("the message is not UTF-8")]
    NotText,
    /// The peer takes nothing.
    #[error("the peer takes nothing")]
    Full,
}

impl Control {
    pub(crate) fn new(sender: wtransport::SendStream, receiver: wtransport::RecvStream) -> Self {
        sender.set_priority(PRIORITY);
        let frames = FrameReader::new(CONTROL_BYTES_MAX);
        Self { sender, receiver, frames, piece: Bytes::new(), waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// The next message. Can be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When none will come.
    pub async fn receive(&mut self) -> Result<String, ControlError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// [`Self::receive`], for whoever waits for other things as well.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<String, ControlError>> {
        loop {
            if let Some(message) = self.frames.next(&mut self.piece)? {
                let text = String::from_utf8(message.into()).map_err(|_| ControlError::NotText);
                return Poll::Ready(text);
            }
            let read = pin!(self.receiver.quic_stream_mut().read_chunk(CONTROL_BYTES_MAX, true));
            match ready!(read.poll(cx)) {
                Ok(Some(chunk)) => self.piece = chunk.bytes,
                Ok(None) => return Poll::Ready(Err(self.frames.end().err().map_or(ControlError::Closed, Into::into))),
                Err(quinn::ReadError::Reset(_)) => return Poll::Ready(Err(ControlError::Closed)),
                Err(_) => return Poll::Ready(Err(ControlError::Lost)),
            }
        }
    }

    /// Writes what is queued, and gives the next message. Can be cancelled: nothing is lost.
    ///
    /// # Errors
    /// As [`Self::flush`] and [`Self::receive`].
    pub async fn exchange(&mut self) -> Result<String, ControlError> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_receive(cx)
        })
        .await
    }

    /// Has a message written by the next [`Self::flush`].
    ///
    /// # Errors
    /// When too much waits already.
    pub fn queue(&mut self, text: &str) -> Result<(), ControlError> {
        let message = Bytes::from(framed(text.as_bytes()));
        if self.waiting_bytes + message.len() > WAITING_BYTES_MAX {
            return Err(ControlError::Full);
        }
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
        Ok(())
    }

    /// Whether something waits to be written.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what is queued. Can be cancelled: what is not written stays queued.
    ///
    /// # Errors
    /// When the session is over or the peer reads no more.
    pub async fn flush(&mut self) -> Result<(), ControlError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// [`Self::flush`], for whoever waits for other things as well.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ControlError>> {
        while !self.waiting.is_empty() {
            let chunks = self.waiting.make_contiguous();
            let written = {
                let write = pin!(self.sender.quic_stream_mut().write_chunks(chunks));
                ready!(write.poll(cx))
            };
            match written {
                Ok(written) => {
                    self.waiting_bytes -= written.bytes;
                    self.waiting.drain(..written.chunks);
                }
                Err(quinn::WriteError::Stopped(_)) => return Poll::Ready(Err(ControlError::Closed)),
                Err(_) => return Poll::Ready(Err(ControlError::Lost)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// As [`Self::queue`] and [`Self::flush`].
    pub async fn send(&mut self, text: &str) -> Result<(), ControlError> {
        self.queue(text)?;
        self.flush().await
    }

    /// Says `last`, ends the stream, and waits at most `patience` until the peer has it: what closes the session throws away what is
    /// still under way.
    pub async fn say_last(mut self, last: &[String], patience: Duration) {
        let farewell = async {
            for text in last {
                self.queue(text)?;
            }
            self.flush().await?;
            // Ends the stream and resolves once the peer has all of it.
            self.sender.finish().await.map_err(|_| ControlError::Lost)
        };
        // Whether the peer has heard it is the peer's affair.
        let _ = timeout(patience, farewell).await;
    }
}
