//! Names and secrets: stream ids, titles, relay names, track numbers and broadcast keys. Each is checked once, where it is parsed.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use ts_rs::TS;

use crate::limits::{RELAY_NAME_CHARS_MAX, TITLE_CHARS_MAX};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Not 32 hexadecimal digits in lower case.
    #[error("a stream id is 32 hexadecimal digits in lower case")]
    StreamId,
    /// An empty title.
    #[error("a title can't be empty")]
    TitleEmpty,
    /// A title over [`TITLE_CHARS_MAX`].
    #[error("a title has at most {TITLE_CHARS_MAX} characters")]
    TitleTooLong,
    /// A title with control characters.
    #[error("a title can't hold control characters or line breaks")]
    TitleControlCharacters,
    /// Not one DNS label.
    #[error(
        "a relay name is 1 to {RELAY_NAME_CHARS_MAX} of a-z, 0-9 and -, and begins and ends with a letter or digit"
    )]
    RelayName,
    /// Not 16 hexadecimal digits in lower case.
    #[error("a viewer id is 16 hexadecimal digits in lower case")]
    ViewerId,
    /// Not 32 bytes in base64url.
    #[error("a broadcast key is 32 bytes in base64url")]
    BroadcastKey,
}

/// Names one stream: the MD5 (RFC 1321) of its title and creation time, 32 hexadecimal digits in lower case. It names; it does
/// not protect: what a stranger may do is said by tickets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct StreamId([u8; 16]);

impl StreamId {
    /// The id of a stream with this title, created at this many microseconds since the Unix epoch.
    ///
    /// The creation time is all that sets two streams of one title apart: whoever makes streams gives each its own microsecond.
    #[must_use]
    pub fn of(title: &Title, created_at_us: u64) -> Self {
        let mut hash = Md5::new();
        hash.update(title.as_str().as_bytes());
        hash.update(created_at_us.to_string().as_bytes());
        Self(hash.finalize().into())
    }

    /// The 16 bytes, as keys are derived from them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for StreamId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidName::StreamId)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidName::StreamId);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.to_string()
    }
}

/// What a stream is called: 1 to [`TITLE_CHARS_MAX`] characters after trimming, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct Title(String);

impl Title {
    /// The title as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Title {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidName::TitleEmpty);
        }
        if text.chars().count() > TITLE_CHARS_MAX {
            return Err(InvalidName::TitleTooLong);
        }
        if text.chars().any(breaks_a_line_of_text) {
            return Err(InvalidName::TitleControlCharacters);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Control characters (Unicode Cc), line and paragraph separators, and the direction overrides that let a title disguise itself.
fn breaks_a_line_of_text(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Title {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

/// Names one relay: a DNS label in lower case (RFC 1035 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct RelayName(String);

impl RelayName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelayName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=RELAY_NAME_CHARS_MAX).contains(&text.len());
        if !fits || !text.bytes().all(inner) || text.starts_with('-') || text.ends_with('-') {
            return Err(InvalidName::RelayName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RelayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RelayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<RelayName> for String {
    fn from(name: RelayName) -> Self {
        name.0
    }
}

/// Numbers a track within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(export)]
pub struct TrackNumber(pub u16);

impl fmt::Display for TrackNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one viewer of one stream, by chance: 16 hexadecimal digits on the wire. It says nothing about the person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct ViewerId(pub u64);

impl FromStr for ViewerId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let well_formed = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = well_formed.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(InvalidName::ViewerId)
    }
}

impl TryFrom<String> for ViewerId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ViewerId> for String {
    fn from(id: ViewerId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ViewerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ViewerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret that owns one stream: 32 random bytes, base64url without padding on the wire. Never in a link, a log or `Debug`.
#[derive(Clone, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct BroadcastKey([u8; 32]);

impl BroadcastKey {
    /// A key made of these random bytes.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// What the directory stores instead of the key.
    #[must_use]
    pub fn hash(&self) -> BroadcastKeyHash {
        BroadcastKeyHash(Sha256::digest(self.0).into())
    }

    /// The key as it stands in an `Authorization: Bearer` header.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl FromStr for BroadcastKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidName::BroadcastKey)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidName::BroadcastKey)?))
    }
}

impl TryFrom<String> for BroadcastKey {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<BroadcastKey> for String {
    fn from(key: BroadcastKey) -> Self {
        key.expose()
    }
}

impl fmt::Debug for BroadcastKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BroadcastKey(..)")
    }
}

/// SHA-256 of a broadcast key. The key has 256 random bits, so a plain hash is enough. 64 hexadecimal digits on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BroadcastKeyHash([u8; 32]);

impl TryFrom<String> for BroadcastKeyHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl From<BroadcastKeyHash> for String {
    fn from(hash: BroadcastKeyHash) -> Self {
        hex::encode(hash.0)
    }
}

impl fmt::Debug for BroadcastKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BroadcastKeyHash(..)")
    }
}

impl BroadcastKeyHash {
    /// Whether this is the hash of `key`, in constant time.
    #[must_use]
    pub fn matches(&self, key: &BroadcastKey) -> bool {
        self.0.ct_eq(&key.hash().0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(text: &str) -> Title {
        text.parse().unwrap()
    }

    #[test]
    fn stream_id_is_the_md5_of_title_and_creation_time() {
        // printf '%s' 'demo1700000000000000' | md5sum
        let id = StreamId::of(&title("demo"), 1_700_000_000_000_000);
        assert_eq!(id.to_string(), "a3aca7d499d2a4e80d6338a04dfc936f");
        assert_eq!(id, id.to_string().parse().unwrap());
    }

    #[test]
    fn streams_of_one_title_differ_by_their_microsecond() {
        assert_ne!(StreamId::of(&title("demo"), 1), StreamId::of(&title("demo"), 2));
    }

    #[test]
    fn malformed_stream_ids_are_refused() {
        for text in ["", "0", "zz", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e0"] {
            assert_eq!(text.parse::<StreamId>(), Err(InvalidName::StreamId), "{text}");
        }
    }

    #[test]
    fn titles_are_trimmed_and_checked() {
        assert_eq!(title("  Sunday demo \n").as_str(), "Sunday demo");
        assert_eq!(title(&"é".repeat(120)).as_str().chars().count(), 120);
        assert_eq!("  ".parse::<Title>(), Err(InvalidName::TitleEmpty));
        assert_eq!("x".repeat(121).parse::<Title>(), Err(InvalidName::TitleTooLong));
        for text in ["a\u{0}b", "a\nb", "a\u{202e}b", "a\u{7f}b"] {
            assert_eq!(text.parse::<Title>(), Err(InvalidName::TitleControlCharacters), "{text:?}");
        }
    }

    #[test]
    fn relay_names_are_dns_labels() {
        assert!("relay-1".parse::<RelayName>().is_ok());
        for text in ["", "-a", "a-", "Relay", "a.b", "a b", &"x".repeat(64)] {
            assert_eq!(text.parse::<RelayName>(), Err(InvalidName::RelayName), "{text}");
        }
    }

    #[test]
    fn viewer_ids_are_16_hexadecimal_digits() {
        let id = ViewerId(0x00ab_cdef_0123_4567);
        assert_eq!((id.to_string().as_str(), id.to_string().parse()), ("00abcdef01234567", Ok(id)));
        for text in ["", "1", "00ABCDEF01234567", "+0abcdef01234567", "00abcdef012345678"] {
            assert_eq!(text.parse::<ViewerId>(), Err(InvalidName::ViewerId), "{text}");
        }
    }

    #[test]
    fn broadcast_key_matches_its_own_hash_only_and_hides_in_debug() {
        let key = BroadcastKey::new([7; 32]);
        assert!(key.hash().matches(&key.expose().parse().unwrap()));
        assert!(!key.hash().matches(&BroadcastKey::new([8; 32])));
        assert!(!format!("{key:?}").contains(&key.expose()));
    }
}
