//! What is said of WebTransport (draft-ietf-webtrans-http3) where a relay offers it: its address, and the codes its streams and
//! sessions end with. The bytes on its streams are [`crate::framing`]'s; `docs/decisions/0011-webtransport.md` has the whole.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ts_rs::TS;
use url::Url;

use crate::limits::{CERTIFICATE_HASHES_MAX, RELAY_URL_BYTES_MAX};

/// Path of the session's URL.
pub const PATH: &str = "/wt";

/// A stream is reset with this when what it had left is of no use any more: a newer segment goes on in its place.
pub const STREAM_SKIPPED: u32 = 1;

/// A stream is refused (STOP_SENDING) with this when the reader has given its segment up: the next one goes on.
pub const STREAM_STALLED: u32 = 2;

/// Where a relay is reached by WebTransport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[ts(export)]
pub struct WebTransportAddress {
    /// `https://host:port/wt`, with the host of the relay's WebSocket address.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    #[ts(type = "string")]
    pub url: Url,
    /// What `serverCertificateHashes` is to hold: the certificates that the relay may show, at most
    /// [`CERTIFICATE_HASHES_MAX`]. None where its certificate is one that everybody trusts.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    #[ts(type = "Array<string>")]
    pub certificate_hashes: Vec<CertificateHash>,
}

impl WebTransportAddress {
    /// Whether this may be handed out for the relay whose WebSocket address is `relay`.
    #[must_use]
    pub fn is_well_formed(&self, relay: &Url) -> bool {
        let bare = self.url.username().is_empty() && self.url.password().is_none() && self.url.fragment().is_none();
        let host = self.url.host_str();
        self.url.scheme() == "https"
            && bare
            && host.is_some_and(|host| !host.is_empty())
            && is_same_host(host, relay.host_str())
            && self.url.port() != Some(0)
            && self.url.as_str().len() <= RELAY_URL_BYTES_MAX
            && self.certificate_hashes.len() <= CERTIFICATE_HASHES_MAX
    }
}

/// `ws:` is a special scheme as `https:` is, so both hosts are parsed alike; case can still differ where a URL was built otherwise.
fn is_same_host(ours: Option<&str>, theirs: Option<&str>) -> bool {
    matches!((ours, theirs), (Some(ours), Some(theirs)) if ours.eq_ignore_ascii_case(theirs))
}

/// SHA-256 over a certificate's DER: 64 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateHash(pub [u8; 32]);

/// Text that is no certificate hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a certificate hash is 64 hexadecimal digits")]
pub struct InvalidCertificateHash;

impl fmt::Display for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateHash({self})")
    }
}

impl FromStr for CertificateHash {
    type Err = InvalidCertificateHash;

    fn from_str(text: &str) -> Result<Self, InvalidCertificateHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| InvalidCertificateHash)?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for CertificateHash {
    type Error = InvalidCertificateHash;

    fn try_from(text: String) -> Result<Self, InvalidCertificateHash> {
        text.parse()
    }
}

impl From<CertificateHash> for String {
    fn from(hash: CertificateHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(url: &str, hashes: usize) -> WebTransportAddress {
        WebTransportAddress { url: url.parse().unwrap(), certificate_hashes: vec![CertificateHash([7; 32]); hashes] }
    }

    fn fits(url: &str, hashes: usize) -> bool {
        address(url, hashes).is_well_formed(&"wss://relay.example:5001/ws".parse().unwrap())
    }

    #[test]
    fn address_at_the_relays_own_host_is_well_formed_whatever_its_port() {
        assert!(fits("https://relay.example:5001/wt", 0) && fits("https://relay.example/wt", CERTIFICATE_HASHES_MAX));
        let own = "ws://[::1]:5001/ws".parse().unwrap();
        assert!(address("https://[::1]:7/wt", 1).is_well_formed(&own));
    }

    #[test]
    fn address_of_somebody_else_or_of_another_kind_is_not() {
        for url in [
            "https://other.example:5001/wt",
            "http://relay.example:5001/wt",
            "https://user@relay.example/wt",
            "https://relay.example/wt#top",
            "https://relay.example:0/wt",
        ] {
            assert!(!fits(url, 1), "{url}");
        }
        assert!(!fits("https://relay.example/wt", CERTIFICATE_HASHES_MAX + 1), "too many hashes");
        assert!(!fits(&format!("https://relay.example/{}", "x".repeat(RELAY_URL_BYTES_MAX)), 1), "too long");
    }

    #[test]
    fn address_is_written_as_documented() {
        let json =
            serde_json::json!({ "url": "https://relay.example:5001/wt", "certificate_hashes": ["07".repeat(32)] });
        assert_eq!(serde_json::to_value(address("https://relay.example:5001/wt", 1)).unwrap(), json);
        assert_eq!(
            serde_json::from_value::<WebTransportAddress>(json).unwrap(),
            address("https://relay.example:5001/wt", 1)
        );
        for hash in ["", "07", &"07".repeat(33), &"x7".repeat(32)] {
            assert_eq!(hash.parse::<CertificateHash>(), Err(InvalidCertificateHash), "{hash}");
        }
    }

    proptest! {
        #[test]
        fn hash_is_read_as_it_is_written(bytes: [u8; 32]) {
            prop_assert_eq!(CertificateHash(bytes).to_string().parse(), Ok(CertificateHash(bytes)));
        }
    }
}
