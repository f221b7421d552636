//! The JSON text messages of a relay's WebSocket: `{ "type": "...", ... }`, one enum per direction.
//!
//! The first message of a connection is a [`ClientHello`] and says who speaks. After it a broadcaster sends [`FromBroadcaster`]
//! and binary media messages and reads [`ToBroadcaster`]; a viewer sends [`FromViewer`] and reads [`ToViewer`] and binary media
//! messages; so does a relay that pulls the stream, but that it sends [`FromRelay`] and gets every track.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{ErrorCode, RelayName, Secret, StreamId, TrackInfo, TrackNumber, ViewerId, http::RelayAddress};

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
        ticket: Secret,
        /// The tracks that will be sent, at most [`crate::limits::TRACKS_MAX`], each number once.
        tracks: Vec<TrackInfo>,
    },
    /// A viewer: "I watch this stream".
    WatchStream {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        protocol: u16,
        /// A ticket for `watch`.
        ticket: Secret,
    },
    /// Another relay: "I have viewers for this stream, send me all of it."
    PullStream {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        protocol: u16,
        /// A viewer's ticket that names the sender among its relays and the receiver among its upstreams.
        ticket: Secret,
        /// The sender's [`crate::relay_proof::Membership`].
        membership: Secret,
        /// The sender's [`crate::relay_proof::Assertion`] about [`crate::relay_proof::pull_request`], with an empty body.
        assertion: Secret,
    },
    /// The directory: "Who answers here?" [`ToDirectory`] follows, and the connection closes.
    Identify {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        protocol: u16,
        /// At most [`crate::limits::CHALLENGE_BYTES_MAX`] of what the answer must hold.
        challenge: String,
    },
}

/// Relay to a directory that dialled it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ToDirectory {
    /// The answer to [`ClientHello::Identify`].
    Identity {
        /// A [`crate::relay_proof::Identity`], signed with the relay's key.
        identity: Secret,
    },
    /// Something is wrong; the connection closes after it.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// Broadcaster to relay, after the hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum FromBroadcaster {
    /// The stream is over; viewers are told at once.
    EndStream {},
    /// The ticket that goes on from here: for the same stream and relay, and of the same epoch.
    RenewTicket {
        /// A ticket for `publish`.
        ticket: Secret,
    },
    /// The stream arrives at other relays already; this one gets it for [`crate::limits::MOVE_OVERLAP_TIME_MAX`] more, while its
    /// viewers follow.
    Moving {
        /// Where it goes on, best first.
        relays: Vec<RelayAddress>,
    },
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
    /// Who watches: the newest [`crate::limits::AUDIENCE_MAX`], newest first. Sent when it changes, once a second at most.
    Audience {
        /// They.
        viewers: Vec<AudienceMember>,
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
    /// Send this track instead of the one of its kind that is being sent, from the end of the segment on that is being sent: tracks
    /// of one kind number their segments alike. Somebody who has fallen behind gets it from its newest key frame on. `watching` says
    /// when it comes.
    SelectTrack {
        /// The track.
        track: TrackNumber,
    },
    /// The ticket that goes on from here: for the same stream, relay and viewer.
    RenewTicket {
        /// A ticket for `watch`.
        ticket: Secret,
    },
}

/// Relay to the relay it pulls from, after the hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRelay {
    /// Somebody can't be served before the next key frame of this track.
    KeyFrameWanted {
        /// The track.
        track: TrackNumber,
    },
    /// The ticket that goes on from here: for the same stream and the same two relays, of whichever viewer.
    RenewTicket {
        /// A ticket for `watch`.
        ticket: Secret,
    },
}

/// One of those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AudienceMember {
    /// Who, by a number that says nothing else.
    pub viewer: ViewerId,
    /// Since when, in milliseconds since the Unix epoch.
    #[ts(type = "number")]
    pub since_ms: u64,
}

/// Relay to viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ToViewer {
    /// The ticket is good; init segments and the newest segment follow at once. Sent again when the broadcaster comes back with
    /// other tracks, before the first chunk of a track that was selected, and to relays when the epoch or the path has changed.
    Watching {
        /// The stream.
        stream: StreamId,
        /// All its tracks.
        tracks: Vec<TrackInfo>,
        /// The tracks that are being sent to this viewer.
        selected: Vec<TrackNumber>,
        /// The publisher's epoch.
        #[serde(default)]
        epoch: u32,
        /// The relays that the stream has come through, its origin first, the sender last.
        #[serde(default)]
        path: Vec<RelayName>,
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
    /// The stream goes on elsewhere, or this relay is about to leave. Open the new place first, and leave at a segment's end.
    Move {
        /// Where the stream goes on, best first; empty: ask the directory.
        #[serde(default)]
        relays: Vec<RelayAddress>,
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
