//! What happened in the registry that operators want to read of.

use protocol::{RelayName, StreamId, http::StreamState};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A relay was silent for too long and lost its name.
    RelayLost(RelayName),
    /// A stream went live, or is not any more.
    StreamIs(StreamId, StreamState),
    /// A stream ended because no media came for too long.
    StreamExpired(StreamId),
}
