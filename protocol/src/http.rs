//! The bodies of the directory's HTTP calls, and the events of its list.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use url::Url;

use crate::{
    BroadcastKey, ErrorCode, RelayName, Secret, StreamId, Title, ViewerId, signing::PublicKey,
    webtransport::WebTransportAddress,
};

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
    /// Whoever has the link and the password.
    Password,
}

/// Who may go live at a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum BroadcastPolicy {
    /// Everybody who reaches the directory.
    Open,
    /// Whoever has a pass from the operator.
    Passes,
}

body! {
    /// `GET /api/directory`: what a client should know before it asks for more.
    pub struct DirectoryInfo {
        /// Who may go live here.
        pub broadcast: BroadcastPolicy,
        /// [`crate::PROTOCOL_VERSION`] of the directory.
        pub protocol: u16,
        /// The directory's release.
        pub version: String,
    }
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
        /// Where it is reached by WebTransport too, for those who can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional = nullable)]
        pub webtransport: Option<WebTransportAddress>,
    }
}

impl RelayAddress {
    /// A relay that is reached by WebSocket alone.
    #[must_use]
    pub const fn new(name: RelayName, url: Url) -> Self {
        Self { name, url, webtransport: None }
    }
}

impl PartialEq for Assignment {
    fn eq(&self, other: &Self) -> bool {
        (&self.relays, &self.ticket, self.epoch) == (&other.relays, &other.ticket, other.epoch)
    }
}

impl Eq for RelayAddress {}

/// The same relay at the same place. How else it is reached there changes with its certificates, and makes it no other.
impl PartialEq for RelayAddress {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.url == other.url
    }
}

body! {
    /// `POST /register_server`: a relay joins. `Authorization: Bearer` and the directory's join secret, a
    /// [`crate::relay_proof::JoinToken`], or the relay's [`crate::relay_proof::Membership`]; `Relay-Assertion:` and a
    /// [`crate::relay_proof::Assertion`] of the key in the body.
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
        /// Most bytes a second that it sends, over all viewers; none when its operator does not know.
        #[serde(default)]
        #[ts(type = "number | null")]
        pub egress_bytes_per_s_max: Option<u64>,
        /// Where it stands, in words of the operator's own, at most [`crate::limits::REGION_BYTES_MAX`] bytes.
        #[serde(default)]
        pub region: Option<String>,
        /// Its Ed25519 public key (RFC 8032), base64url without padding. The key, not the name, says whether it is the same relay.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[ts(type = "string")]
        pub public_key: PublicKey,
        /// [`crate::PROTOCOL_VERSION`] of the relay.
        pub protocol: u16,
        /// Where it is reached by WebTransport too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional = nullable)]
        pub webtransport: Option<WebTransportAddress>,
    }
}

body! {
    /// The answer to [`RegisterServer`].
    pub struct RegisteredServer {
        /// A [`crate::relay_proof::Membership`]: what the relay joins with from now on.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub membership: Secret,
        /// The public key that tickets are verified with: Ed25519 (RFC 8032), base64url without padding.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[ts(type = "string")]
        pub ticket_key: PublicKey,
        /// Milliseconds between two heartbeats.
        pub heartbeat_interval_ms: u32,
    }
}

body! {
    /// `POST /api/relays/{name}/heartbeat`: what a relay carries. `Relay-Assertion:` and a
    /// [`crate::relay_proof::Assertion`].
    pub struct Heartbeat {
        /// Viewers over all streams.
        pub viewers: u32,
        /// Every stream the relay carries.
        pub streams: Vec<CarriedStream>,
        /// How busy it is.
        #[serde(default)]
        pub load: RelayLoad,
        /// Whether it wants to be rid of its streams, because it is about to stop.
        #[serde(default)]
        pub draining: bool,
        /// Where it is reached by WebTransport too, as of now: its certificates change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional = nullable)]
        pub webtransport: Option<WebTransportAddress>,
    }
}

body! {
    /// How busy a relay is, measured by itself over the time since its last heartbeat.
    #[derive(Default, Copy, PartialEq, Eq)]
    pub struct RelayLoad {
        /// Bytes of media sent per second.
        #[ts(type = "number")]
        pub egress_bytes_per_s: u64,
        /// Its share of the cores that it may use, in percent.
        pub cpu_percent: u32,
        /// Resident memory, in bytes.
        #[ts(type = "number")]
        pub memory_bytes: u64,
        /// Open file descriptors.
        pub files_open: u32,
        /// How many it may open; 0 when unknown.
        pub files_max: u32,
        /// 99th percentile of the time from a chunk's arrival to its handing over to a viewer's socket, in milliseconds.
        pub send_lag_ms: u32,
        /// The median of the same: more than a few viewers with slow lines can't raise it.
        #[serde(default)]
        pub send_lag_median_ms: u32,
        /// Connections that could not be accepted.
        pub accept_failures: u32,
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
        /// How many relays lie between the broadcaster's and this one: 0 for the origin.
        #[serde(default)]
        pub depth: u8,
    }
}

body! {
    /// The answer to [`Heartbeat`]: orders.
    pub struct HeartbeatAnswer {
        /// Streams that the directory has ended or moved elsewhere: viewers are told `stream_ended` and the window is dropped.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
        pub end: Vec<StreamId>,
        /// Viewers that broadcasters have removed from streams this relay carries: their connections are closed and their tickets
        /// refused. Each is named for [`crate::limits::TICKET_TIME`].
        pub removed: Vec<RemovedViewer>,
        /// Why the directory gives this relay no work, in words for its operator: its public address was not reached, or somebody
        /// else answers there.
        pub problem: Option<String>,
        /// Whether the relay is to drain: its operator wants it empty.
        #[serde(default)]
        pub drain: bool,
        /// Relays that an operator has shut out, and whose tickets may still count or whose names others hold now: nothing is sent to
        /// them, and nothing taken from them. Each is named for as long as that is so.
        #[serde(default)]
        pub revoked: Vec<RevokedRelay>,
    }
}

body! {
    /// A relay that an operator has shut out.
    #[derive(PartialEq, Eq)]
    pub struct RevokedRelay {
        /// The name that it held. Another may hold it since.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub relay: RelayName,
        /// Its key, which is what it is.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[ts(type = "string")]
        pub public_key: PublicKey,
        /// When it was shut out, in seconds since the Unix epoch: tickets that were signed until then, or right after, may mean it
        /// by its name.
        #[ts(type = "number")]
        pub at_s: u64,
    }
}

body! {
    /// One who may watch a stream no longer.
    pub struct RemovedViewer {
        /// The stream.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub stream: StreamId,
        /// The viewer.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub viewer: ViewerId,
    }
}

body! {
    /// `POST /api/streams`: a broadcaster asks for a new stream. `Authorization: Bearer <pass>` where the directory asks for one.
    pub struct CreateStream {
        /// What it is called.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 120))]
        pub title: String,
        /// Who finds it.
        #[serde(default)]
        pub visibility: Visibility,
        /// What viewers must know, where the visibility is `password`: [`crate::limits::PASSWORD_CHARS_MIN`] to
        /// [`crate::limits::PASSWORD_CHARS_MAX`] characters.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        pub password: Option<Secret>,
        /// Whether its payloads are end-to-end encrypted. The directory only tells others: the key is in the link alone.
        #[serde(default)]
        pub sealed: bool,
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
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub ticket: Secret,
        /// The stream's epoch.
        pub epoch: u32,
        /// For a broadcaster: a [`crate::stream_record::StreamRecord`] that brings the stream back to a directory which has lost its
        /// memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        #[ts(optional = nullable)]
        pub record: Option<Secret>,
    }
}

body! {
    /// `POST /api/streams/restore`: a broadcaster brings its stream back to a directory that does not know it any more.
    /// `Authorization: Bearer <broadcast key>`. The answer is an [`Assignment`].
    pub struct RestoreStream {
        /// The newest `record` that the broadcaster got.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub record: Secret,
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

/// One server-sent event of `GET /api/streams/{id}/orders` (its `data`, JSON): what the directory wants of a broadcaster.
/// `Authorization: Bearer <broadcast key>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export)]
pub enum Order {
    /// Where the stream belongs. First, whenever the ticket is to be renewed (the epoch is the same), and whenever the stream is to
    /// move (the epoch is higher).
    Assignment {
        /// Relays, ticket and epoch.
        assignment: Assignment,
    },
    /// The stream was ended by an operator, or because its pass was revoked.
    End {
        /// Why, for people.
        message: String,
    },
}

body! {
    /// `POST /api/streams/{id}/watch`: a viewer asks in; also without a body. `Authorization: Bearer <watch ticket>` renews that
    /// ticket instead, without the password.
    pub struct WatchRequest {
        /// The stream's password, where it has one.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        pub password: Option<Secret>,
        /// A relay that did not serve: the directory looks at it at once, and names it last.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        pub failed: Option<RelayName>,
        /// Where the viewer is, as relays name their regions.
        #[serde(default)]
        pub region: Option<String>,
    }
}

body! {
    /// The answer to `POST /api/streams/{id}/watch`.
    pub struct WatchAnswer {
        /// The stream, as in the list.
        pub stream: StreamSummary,
        /// Where to watch it.
        pub assignment: Assignment,
        /// After how many milliseconds a longer list is to be had: more relays are about to work, as when the directory was gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional = nullable)]
        pub ask_again_ms: Option<u32>,
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
        /// Whether its payloads are end-to-end encrypted: the link must hold the key.
        pub sealed: bool,
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
