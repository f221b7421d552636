//! How a relay and one peer exchange messages. What a message means is decided elsewhere; what carries it, here.

use std::time::Duration;

use thiserror::Error;
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

mod media_frame;
pub mod websocket;

pub use media_frame::MediaFrame;

/// How long one message may take to be written: whoever takes less than one chunk in this time can't watch or publish.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a farewell may take: the error, the close frame, and reading what the peer had already sent, as the kernel throws the
/// farewell away when a socket is closed with unread bytes.
pub const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes that are read of a peer during the farewell: more than the kernel holds for it. Whoever still sends does not listen.
pub const FAREWELL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A message from the peer.
#[derive(Debug)]
pub enum Message {
    /// A control message.
    Text(Utf8Bytes),
    /// A media message.
    Media(Bytes),
    /// A sign of life.
    Alive,
}

/// Why no message came.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The peer has said good-bye.
    #[error("the peer has closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Lost,
    /// A message over its limit.
    #[error("the message is over its limit")]
    TooLarge,
    /// Not a message at all.
    #[error("{0}")]
    Malformed(String),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection broke.
    #[error("the connection broke")]
    Lost,
    /// The peer took nothing for [`WRITE_TIME_MAX`].
    #[error("the peer takes nothing")]
    TooSlow,
}
