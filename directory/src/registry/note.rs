//! What happened in the registry that operators want to read of.

use protocol::{RelayName, StreamId, http::StreamState};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A relay was silent for too long and lost its name.
    RelayLost(RelayName),
    /// Who answers at a relay's public address is the relay: it gets work.
    RelayGood(RelayName),
    /// A check of a relay's public address failed, and why.
    RelayProblem(RelayName, String),
    /// A stream went live, or is not any more.
    StreamIs(StreamId, StreamState),
    /// A stream was told to move to another relay.
    StreamMoved(StreamId),
    /// A relay had too much to do, and a stream was told to move from it to another one.
    StreamLeavesHot {
        /// The stream.
        stream: StreamId,
        /// The relay that had too much to do.
        from: RelayName,
        /// Where it goes.
        to: RelayName,
    },
    /// A stream ended because no media came for too long.
    StreamExpired(StreamId),
}
