//! The bodies of the operator's calls, which the command's subcommands make at a directory that runs.

use protocol::{
    RelayName, Secret, StreamId, Title,
    http::{RelayLoad, StreamState, Visibility},
};
use serde::{Deserialize, Serialize};
use url::Url;

/// `POST /operator/relay-tokens`: a new join token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewRelayToken {
    /// How many relays may join with it.
    pub(crate) uses: u32,
    /// How many hours it is good for.
    pub(crate) hours: u32,
}

/// The answer: the token, said only here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MadeRelayToken {
    pub(crate) token: Secret,
    pub(crate) expires_at_s: u64,
}

/// `GET /operator/relays`: relays that work here, that are away, and that are shut out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelayEntries {
    pub(crate) relays: Vec<RelayEntry>,
}

/// One relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelayEntry {
    pub(crate) name: RelayName,
    pub(crate) state: RelayState,
    pub(crate) at_work: Option<RelayAtWork>,
    /// When it was seen last, or shut out, in seconds since the Unix epoch.
    pub(crate) since_s: u64,
}

/// How a relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RelayState {
    Ready,
    Suspect,
    Busy,
    Full,
    Draining,
    Unchecked,
    Away,
    Revoked,
}

/// A relay that holds its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelayAtWork {
    pub(crate) url: Url,
    pub(crate) problem: Option<String>,
    pub(crate) streams: u32,
    pub(crate) streams_max: u32,
    pub(crate) viewers: u32,
    pub(crate) viewers_max: u32,
    pub(crate) head_room_percent: u8,
    pub(crate) region: Option<String>,
    pub(crate) load: RelayLoad,
}

/// The answer to `POST /operator/relays/{name}/drain`, and to `DELETE`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Drained {
    /// How many streams it told of last.
    pub(crate) streams: u32,
}

/// `POST /operator/streams/{id}/move`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MoveTo {
    pub(crate) relay: RelayName,
}

/// `POST /operator/passes`: a new pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewPass {
    pub(crate) name: String,
}

/// The answer: the pass, said only here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MadePass {
    pub(crate) pass: Secret,
}

/// `GET /operator/passes`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PassEntries {
    pub(crate) passes: Vec<PassEntry>,
}

/// One pass, without its text: nobody knows it but who has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PassEntry {
    pub(crate) name: String,
    pub(crate) made_at_s: u64,
}

/// The answer to `DELETE /operator/passes/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RevokedPass {
    /// How many streams ended with it.
    pub(crate) streams_ended: usize,
}

/// `GET /operator/streams`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StreamEntries {
    pub(crate) streams: Vec<StreamEntry>,
}

/// One stream, also when nobody else is told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StreamEntry {
    pub(crate) id: StreamId,
    pub(crate) title: Title,
    pub(crate) visibility: Visibility,
    pub(crate) sealed: bool,
    pub(crate) state: StreamState,
    pub(crate) viewers: u32,
    /// Its origin: the relay that it is sent to, or is expected at.
    pub(crate) relay: Option<RelayName>,
    /// The relays that pull it from there, or from each other.
    pub(crate) edges: Vec<EdgeEntry>,
    pub(crate) pass: Option<String>,
}

/// A relay that pulls a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EdgeEntry {
    pub(crate) relay: RelayName,
    /// How many relays the stream comes through before.
    pub(crate) depth: u8,
    pub(crate) viewers: u32,
}
