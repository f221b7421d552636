//! The bodies of the directory's HTTP calls, and the events of its list.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use url::Url;

use crate::{BroadcastKey, ErrorCode, RelayName, StreamId, Title};

/// Derives what every HTTP body has.
macro_rules! body {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize, Deserialize, TS)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[ts(export)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    };
}

body! {
    /// The body of every failed call.
    pub struct ApiError {
        /// For programs; stable.
        pub code: ErrorCode,
        /// For people.
        pub message: String,
    }
}

/// Who finds a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Visibility {
    /// Everybody: it is in the list.
    #[default]
    Public,
    /// Whoever has the link.
    Unlisted,
}

body! {
    /// Where a relay is reached by broadcasters and viewers.
    pub struct RelayAddress {
        /// The relay's name, as tickets have it.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub name: RelayName,
        /// The address of its WebSocket endpoint, `ws://host:port/ws` or `wss://...`.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[ts(type = "string")]
        pub url: Url,
    }
}

impl PartialEq for RelayAddress {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.url == other.url
    }
}

body! {
    /// `POST /register_server`: a relay joins. `Authorization: Bearer <join secret>`.
    pub struct RegisterServer {
        /// The name it wants to hold.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub name: RelayName,
        /// Where broadcasters and viewers reach it: `ws://` or `wss://`, with the path.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[ts(type = "string")]
        pub url: Url,
        /// Most streams it carries.
        pub streams_max: u32,
        /// Most viewers it serves.
        pub viewers_max: u32,
        /// Its Ed25519 public key (RFC 8032), base64url without padding. The key, not the name, says whether it is the same relay.
        pub public_key: String,
        /// [`crate::PROTOCOL_VERSION`] of the relay.
        pub protocol: u16,
    }
}

body! {
    /// The answer to [`RegisterServer`].
    pub struct RegisteredServer {
        /// The bearer token of this relay's heartbeats.
        pub token: String,
        /// The public key that tickets are verified with: Ed25519 (RFC 8032), base64url without padding.
        pub ticket_key: String,
        /// Milliseconds between two heartbeats.
        pub heartbeat_interval_ms: u32,
    }
}

body! {
    /// `POST /api/relays/{name}/heartbeat`: what a relay carries. `Authorization: Bearer <token>`.
    pub struct Heartbeat {
        /// Viewers over all streams.
        pub viewers: u32,
        /// Every stream the relay carries.
        pub streams: Vec<CarriedStream>,
    }
}

body! {
    /// One stream on one relay.
    pub struct CarriedStream {
        /// The stream.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub stream: StreamId,
        /// The epoch of its publisher.
        pub epoch: u32,
        /// Whether a publisher is connected and at least one chunk has arrived from it.
        pub live: bool,
        /// Viewers of the stream on this relay.
        pub viewers: u32,
    }
}

body! {
    /// The answer to [`Heartbeat`]: orders.
    pub struct HeartbeatAnswer {
        /// Streams that the directory has ended or moved elsewhere: viewers are told `stream_ended` and the window is dropped.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
        pub end: Vec<StreamId>,
    }
}

body! {
    /// `POST /api/streams`: a broadcaster asks for a new stream.
    pub struct CreateStream {
        /// What it is called.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 120))]
        pub title: String,
        /// Who finds it.
        #[serde(default)]
        pub visibility: Visibility,
    }
}

body! {
    /// The answer to [`CreateStream`].
    pub struct CreatedStream {
        /// The new stream.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub id: StreamId,
        /// Its title as viewers see it.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub title: Title,
        /// The secret that owns it, said only here.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub broadcast_key: BroadcastKey,
        /// Where to send it.
        pub assignment: Assignment,
    }
}

body! {
    /// Where one side of a stream connects, and the ticket that lets it in.
    pub struct Assignment {
        /// Relays in order of preference.
        pub relays: Vec<RelayAddress>,
        /// For publishing or watching, as asked.
        pub ticket: String,
        /// The stream's epoch.
        pub epoch: u32,
    }
}

body! {
    /// `POST /api/streams/{id}/assignment`: the broadcaster's relay failed. `Authorization: Bearer <broadcast key>`.
    pub struct AssignmentRequest {
        /// The relay that failed; it is preferred last.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        pub failed: Option<RelayName>,
    }
}

body! {
    /// The answer to `POST /api/streams/{id}/watch`.
    pub struct WatchAnswer {
        /// The stream, as in the list.
        pub stream: StreamSummary,
        /// Where to watch it.
        pub assignment: Assignment,
    }
}

/// How a listed stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum StreamState {
    /// Made, but no media has arrived yet. Not in the public list.
    Starting,
    /// Media arrives.
    Live,
    /// The broadcaster's connection broke a moment ago.
    Interrupted,
}

body! {
    /// A stream as people see it.
    pub struct StreamSummary {
        /// Names it in links: `/view/{id}`.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub id: StreamId,
        /// What it is called.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub title: Title,
        /// When it was created, in milliseconds since the Unix epoch.
        #[ts(type = "number")]
        pub created_at_ms: u64,
        /// How it is doing.
        pub state: StreamState,
        /// People who watch, over all relays.
        pub viewers: u32,
    }
}

body! {
    /// `GET /api/streams`: the public list, oldest first.
    pub struct StreamList {
        /// The streams.
        pub streams: Vec<StreamSummary>,
    }
}

body! {
    /// `GET /api/time`: the directory's clock, which broadcasters and viewers measure theirs against.
    pub struct ServerTime {
        /// Microseconds since the Unix epoch.
        #[ts(type = "number")]
        pub now_us: u64,
    }
}

/// One server-sent event of `GET /api/events` (its `data`, JSON): the list first, then what changes in it.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum ListEvent {
    /// The whole list; first, and again whenever a reader was too slow for the changes.
    Streams {
        /// The streams, oldest first.
        streams: Vec<StreamSummary>,
    },
    /// A stream is new in the list, or changed.
    StreamChanged {
        /// The stream.
        stream: StreamSummary,
    },
    /// A stream left the list.
    StreamRemoved {
        /// The stream.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        id: StreamId,
    },
}
