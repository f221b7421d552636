//! How a relay proves who it is. Its Ed25519 key, made at its first start, is what a relay is; a name belongs to one key.
//!
//! - A [`JoinToken`], minted by an operator at the directory, lets a new relay in, as often and as long as it says.
//! - A [`Membership`], signed by the directory, is what a relay got when it joined: it lets the same key in again, also at a
//!   directory that remembers nothing but its own key.
//! - An [`Assertion`], signed by the relay, goes with every request it makes and covers the request's body; also with a pull from
//!   another relay, which knows the key from the membership.
//! - An [`Identity`], signed by the relay, answers a directory that dials its public address.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use url::Url;

use crate::{
    RelayName, StreamId,
    limits::RELAY_ASSERTION_TIME,
    signing::{Claims, Forged, PublicKey},
};

/// Lets new relays join. Signed by the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Names the token, so that its uses can be counted: 32 hexadecimal digits.
    #[serde(rename = "jti")]
    pub id: String,
    /// How many relays may join with it.
    #[serde(rename = "max")]
    pub uses_max: u32,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(rename = "exp")]
    pub expires_at_s: u64,
}

impl Claims for JoinToken {
    const TYPE: &'static str = "join+jwt";
}

/// Says that a key holds a name. Signed by the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The relay's name.
    #[serde(rename = "sub")]
    pub relay: RelayName,
    /// The relay's key.
    #[serde(rename = "key")]
    pub public_key: PublicKey,
    /// When it joined, in seconds since the Unix epoch.
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
}

impl Claims for Membership {
    const TYPE: &'static str = "membership+jwt";
}

/// "I, this relay, say this, now, to this address." Signed by the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// Who says it.
    #[serde(rename = "iss")]
    pub relay: RelayName,
    /// What is asked for: the request's method and path, `POST /register_server`, or a [`pull_request`].
    #[serde(rename = "sub")]
    pub request: String,
    /// When, in milliseconds since the Unix epoch; later for each assertion of a relay, so that none can be used twice.
    #[serde(rename = "at")]
    pub said_at_ms: u64,
    /// SHA-256 of the body, base64url without padding.
    #[serde(rename = "bsh")]
    pub body_hash: String,
}

impl Claims for Assertion {
    const TYPE: &'static str = "assertion+jwt";
}

/// Why an assertion proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssertionError {
    /// Not signed by the relay's key.
    #[error("the request is not signed by the relay's key")]
    Forged,
    /// For another request or body.
    #[error("the relay's signature is for another request")]
    OtherRequest,
    /// Said too long ago, or in the future.
    #[error("the relay's signature is too old, or the clocks of the two differ")]
    OutOfTime,
}

impl From<Forged> for AssertionError {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

impl Assertion {
    /// An assertion about a request with this method and path, and this body.
    #[must_use]
    pub fn new(relay: RelayName, request: &str, body: &[u8], now_ms: u64) -> Self {
        Self { relay, request: request.to_owned(), said_at_ms: now_ms, body_hash: hash(body) }
    }

    /// What `token` asserts, when it is about this request and body and was said within [`RELAY_ASSERTION_TIME`] of `now_ms`
    /// (milliseconds since the Unix epoch). Whether it was used before is for the caller to judge.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn verify(
        key: &PublicKey,
        token: &str,
        request: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Self, AssertionError> {
        let assertion: Self = key.verify(token)?;
        let same_body: bool = assertion.body_hash.as_bytes().ct_eq(hash(body).as_bytes()).into();
        if assertion.request != request || !same_body {
            return Err(AssertionError::OtherRequest);
        }
        if u128::from(assertion.said_at_ms.abs_diff(now_ms)) > RELAY_ASSERTION_TIME.as_millis() {
            return Err(AssertionError::OutOfTime);
        }
        Ok(assertion)
    }
}

/// What the assertion of a [`crate::control::ClientHello::PullStream`] to the relay `upstream` is about. It names the receiver: nobody
/// who gets it can hand it on to another.
#[must_use]
pub fn pull_request(stream: StreamId, upstream: &RelayName) -> String {
    format!("PULL {stream} FROM {upstream}")
}

/// "Who answers at this address is this relay." Signed by the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who answers.
    #[serde(rename = "iss")]
    pub relay: RelayName,
    /// The public address that it believes to have.
    #[serde(rename = "url")]
    pub url: Url,
    /// The challenge that was put to it.
    #[serde(rename = "non")]
    pub challenge: String,
}

impl Claims for Identity {
    const TYPE: &'static str = "identity+jwt";
}

fn hash(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    const NOW_MS: u64 = 1_763_000_000_000;
    const REQUEST: &str = "POST /register_server";

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    #[test]
    fn assertion_holds_for_its_own_request_body_and_time() {
        let key = key();
        let assertion = Assertion::new("relay-1".parse().unwrap(), REQUEST, b"body", NOW_MS);
        let token = key.sign(&assertion).unwrap();
        let verify =
            |request, body, now_ms| Assertion::verify(&key.public_key(), token.expose(), request, body, now_ms);
        assert_eq!(verify(REQUEST, b"body", NOW_MS + 30_000), Ok(assertion.clone()));
        assert_eq!(verify("POST /other", b"body", NOW_MS), Err(AssertionError::OtherRequest));
        assert_eq!(verify(REQUEST, b"Body", NOW_MS), Err(AssertionError::OtherRequest));
        assert_eq!(verify(REQUEST, b"body", NOW_MS + 30_001), Err(AssertionError::OutOfTime));
        assert_eq!(verify(REQUEST, b"body", NOW_MS - 30_001), Err(AssertionError::OutOfTime));
        let other = super::tests::key().public_key();
        assert_eq!(Assertion::verify(&other, token.expose(), REQUEST, b"body", NOW_MS), Err(AssertionError::Forged));
    }
}
