//! A session: what both ends do with it.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use quinn::VarInt;
use thiserror::Error;

use crate::{
    control::{Control, ControlError},
    inbox::Inbox,
    outbox::Outbox,
    tuning::{MEDIA_STREAMS_MAX, MEDIA_WINDOW_BYTES},
};

/// Type of a unidirectional stream that belongs to a session (draft-ietf-webtrans-http3, section 4.2), as a QUIC integer of two bytes.
const STREAM_TYPE: [u8; 2] = [0x40, 0x54];

/// One session. Clones are handles of the same one; it is closed when all of them, and what was made of them, are dropped.
#[derive(Debug, Clone)]
pub struct Session(wtransport::Connection);

/// The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the session is over: {0}")]
pub struct SessionLost(pub String);

impl Session {
    pub(crate) const fn new(connection: wtransport::Connection) -> Self {
        Self(connection)
    }

    /// The client's first act: opens the control stream.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn open_control(&self) -> Result<Control, ControlError> {
        let opening = self.0.open_bi().await.map_err(|_| ControlError::Lost)?;
        let (sender, receiver) = opening.await.map_err(|_| ControlError::Lost)?;
        Ok(Control::new(sender, receiver))
    }

    /// Waits for the client's control stream. Can be cancelled.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn accept_control(&self) -> Result<Control, ControlError> {
        let (sender, receiver) = self.0.accept_bi().await.map_err(|_| ControlError::Lost)?;
        Ok(Control::new(sender, receiver))
    }

    /// Lets the other end send media: streams and room for them.
    pub fn allow_media(&self) {
        let quic = self.0.quic_connection();
        quic.set_max_concurrent_uni_streams(VarInt::from_u32(MEDIA_STREAMS_MAX));
        quic.set_receive_window(VarInt::from_u32(MEDIA_WINDOW_BYTES));
    }

    /// What sends media. One for each session.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.0.quic_connection().clone(), self.stream_head())
    }

    /// What reads media. One for each session.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::new(self.clone())
    }

    /// Waits until the other end opens a unidirectional stream. Can be cancelled. Of use where none may be; else see [`Self::inbox`].
    ///
    /// # Errors
    /// When the session is over.
    pub async fn accept_stream(&self) -> Result<wtransport::RecvStream, SessionLost> {
        self.0.accept_uni().await.map_err(|error| SessionLost(error.to_string()))
    }

    /// Waits until the session is over, for whatever reason. Can be cancelled.
    pub async fn closed(&self) -> SessionLost {
        SessionLost(self.0.closed().await.to_string())
    }

    /// The code that the other end has closed with; none while it has not.
    #[must_use]
    pub fn close_code(&self) -> Option<u64> {
        match self.0.quic_connection().close_reason()? {
            quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }

    /// Ends it at once: what was not sent is not sent any more. [`Control::say_last`] goes before.
    pub fn close(&self, code: u16, reason: &str) {
        self.0.close(wtransport::VarInt::from_u32(code.into()), reason.as_bytes());
    }

    /// The other end's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// The round trip, as last measured.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.0.rtt()
    }

    /// The QUIC connection, for measurements.
    #[must_use]
    pub fn quic(&self) -> &quinn::Connection {
        self.0.quic_connection()
    }

    /// What every unidirectional stream of the session begins with.
    fn stream_head(&self) -> Bytes {
        let mut head = STREAM_TYPE.to_vec();
        write_integer(&mut head, self.0.session_id().into_u64());
        head.into()
    }
}

/// Appends an integer as QUIC writes it (RFC 9000 16).
fn write_integer(bytes: &mut Vec<u8>, value: u64) {
    let whole = value.to_be_bytes();
    let (from, prefix) = match value {
        0..=0x3f => (7, 0x00),
        0x40..=0x3fff => (6, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        _ => (0, 0xc0),
    };
    let at = bytes.len();
    bytes.extend_from_slice(&whole[from..]);
    bytes[at] |= prefix;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_in_the_examples_of_the_rfc() {
        for (value, hex) in [
            (37, vec![0x25]),
            (15_293, vec![0x7b, 0xbd]),
            (494_878_333, vec![0x9d, 0x7f, 0x3e, 0x7d]),
            (151_288_809_941_952_652, vec![0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
        ] {
            let mut bytes = Vec::new();
            write_integer(&mut bytes, value);
            assert_eq!(bytes, hex, "{value}");
        }
    }
}
