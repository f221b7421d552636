//! The JSON text messages of a relay's WebSocket: `{ "type": "...", ... }`, one enum per direction.
//!
//! The first message of a connection is a [`ClientHello`] and says who speaks. After it a broadcaster sends [`FromBroadcaster`]
//! and binary media messages and reads [`ToBroadcaster`]; a viewer sends [`FromViewer`] and reads [`ToViewer`] and binary media
//! messages.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{ErrorCode, RelayName, StreamId, TrackInfo, TrackNumber, http::RelayAddress};

/// The first message of every connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ClientHello {
    /// A broadcaster: "I send this stream".
    RegisterNewStream {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        protocol: u16,
        /// A ticket for `publish`.
        ticket: String,
        /// The tracks that will be sent, at most [`crate::limits::TRACKS_MAX`], each number once.
        tracks: Vec<TrackInfo>,
    },
    /// A viewer: "I watch this stream".
    WatchStream {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        protocol: u16,
        /// A ticket for `watch`.
        ticket: String,
    },
}

/// Broadcaster to relay, after the hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum FromBroadcaster {
    /// The stream is over; viewers are told at once.
    EndStream {},
}

/// Relay to broadcaster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ToBroadcaster {
    /// The ticket is good; media may follow.
    StreamRegistered {
        /// The stream that the ticket names.
        stream: StreamId,
        /// The relay that answers.
        relay: RelayName,
    },
    /// What has arrived since the connection began; sent while it changes, several times a second. A broadcaster is live only
    /// while these grow.
    Received {
        /// Chunks taken in, over all tracks.
        #[ts(type = "number")]
        chunks: u64,
        /// Bytes of media messages taken in.
        #[ts(type = "number")]
        bytes: u64,
    },
    /// Somebody can't be served before the next key frame of this track: please send one soon.
    KeyFrameWanted {
        /// The track.
        track: TrackNumber,
    },
    /// How many people watch on this relay.
    Viewers {
        /// Viewers.
        count: u32,
    },
    /// The relay is about to leave: go on at one of these, within this time.
    Move {
        /// A publish ticket with a higher epoch.
        ticket: String,
        /// Where to go, best first.
        relays: Vec<RelayAddress>,
        /// Milliseconds until the relay closes the connection.
        within_ms: u32,
    },
    /// Something is wrong with what was sent; the connection closes after it.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// Viewer to relay, after the hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum FromViewer {
    /// Send this track instead of the one of its kind that is being sent, from its newest key frame on.
    SelectTrack {
        /// The track.
        track: TrackNumber,
    },
}

/// Relay to viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ToViewer {
    /// The ticket is good; init segments and the newest segment follow at once. Sent again when the broadcaster comes back with
    /// other tracks.
    Watching {
        /// The stream.
        stream: StreamId,
        /// All its tracks.
        tracks: Vec<TrackInfo>,
        /// The tracks that are being sent to this viewer.
        selected: Vec<TrackNumber>,
    },
    /// This viewer fell behind and goes on at the newest key frame.
    Skipped {
        /// The track.
        track: TrackNumber,
        /// Chunks that were left out.
        #[ts(type = "number")]
        chunks: u64,
    },
    /// How many people watch on this relay. Also the sign of life that a page can see: sent at least every
    /// [`crate::limits::KEEP_ALIVE_INTERVAL`].
    Viewers {
        /// Viewers.
        count: u32,
    },
    /// The broadcaster's connection broke (`present: false`) or is back (`present: true`).
    Broadcaster {
        /// Whether a broadcaster is connected.
        present: bool,
    },
    /// The relay is about to leave: ask the directory where to go on.
    Move {
        /// Milliseconds until the relay closes the connection.
        within_ms: u32,
    },
    /// The stream is over.
    StreamEnded {},
    /// Something is wrong; the connection closes after it.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_have_the_documented_names() {
        let hello: ClientHello =
            serde_json::from_value(json!({"type": "watch_stream", "protocol": 1, "ticket": "t", "later_field": 1}))
                .unwrap();
        assert_eq!(hello, ClientHello::WatchStream { protocol: 1, ticket: "t".into() });
        assert_eq!(serde_json::to_value(FromBroadcaster::EndStream {}).unwrap(), json!({"type": "end_stream"}));
        assert_eq!(serde_json::to_value(ToViewer::StreamEnded {}).unwrap(), json!({"type": "stream_ended"}));
        assert_eq!(
            serde_json::to_value(ToViewer::Error { code: ErrorCode::TicketExpired, message: "late".into() }).unwrap(),
            json!({"type": "error", "code": "ticket_expired", "message": "late"})
        );
    }
}
