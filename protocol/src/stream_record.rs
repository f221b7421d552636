//! What a directory gives a broadcaster of its own stream, signed, so that the stream outlives the directory's memory.

use serde::{Deserialize, Serialize};

use crate::{
    BroadcastKeyHash, RelayName, StreamId, Title,
    http::{RelayAddress, Visibility},
    signing::Claims,
};

/// One stream as the directory knew it when it was assigned last. Whoever brings it back proves with the broadcast key that the
/// stream is theirs; the signature proves that everything else is as the directory said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The stream.
    #[serde(rename = "sub")]
    pub stream: StreamId,
    /// Its title.
    #[serde(rename = "ttl")]
    pub title: Title,
    /// When it was created, in microseconds since the Unix epoch.
    #[serde(rename = "cre")]
    pub created_at_us: u64,
    /// Who finds it.
    #[serde(rename = "vis")]
    pub visibility: Visibility,
    /// The argon2id hash of its password, in PHC form, where it has one.
    #[serde(rename = "pwd", default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Whether its payloads are end-to-end encrypted.
    #[serde(rename = "sld")]
    pub sealed: bool,
    /// The hash of its broadcast key.
    #[serde(rename = "key")]
    pub key_hash: BroadcastKeyHash,
    /// The pass it was made with, by name.
    #[serde(rename = "pas", default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
    /// Its epoch.
    #[serde(rename = "epo")]
    pub epoch: u32,
    /// The relays of its newest assignment, best first.
    #[serde(rename = "rel")]
    pub relays: Vec<RelayName>,
    /// Where those of them are that worked then.
    #[serde(rename = "adr", default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<RelayAddress>,
    /// When this was said, in seconds since the Unix epoch.
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
}

impl Claims for StreamRecord {
    const TYPE: &'static str = "stream-record+jwt";
}
