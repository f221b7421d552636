//! Tickets: short-lived permissions to publish or watch one stream on named relays. A ticket is a JWT (RFC 7519) signed with
//! Ed25519 (RFC 8037). The directory issues; a relay verifies with the directory's public key alone.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    ErrorCode, RelayName, StreamId,
    limits::{TICKET_CLOCK_SKEW_MAX, TICKET_TIME},
};

/// What a ticket permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send the stream.
    Publish,
    /// Watch the stream.
    Watch,
}

/// What a verified ticket says. Only [`TicketVerifier::verify`] and the directory's own hand make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The stream.
    #[serde(rename = "sub")]
    pub stream: StreamId,
    /// What is permitted.
    #[serde(rename = "act")]
    pub action: Action,
    /// The stream's epoch when the ticket was issued.
    #[serde(rename = "epo")]
    pub epoch: u32,
    /// The relays it is good on.
    #[serde(rename = "aud")]
    pub relays: Vec<RelayName>,
    /// When it was issued, in seconds since the Unix epoch.
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(rename = "exp")]
    pub expires_at_s: u64,
}

impl Grant {
    /// A grant of [`TICKET_TIME`] from `now_s` (seconds since the Unix epoch) on.
    #[must_use]
    pub fn new(stream: StreamId, action: Action, epoch: u32, relays: Vec<RelayName>, now_s: u64) -> Self {
        Self { stream, action, epoch, relays, issued_at_s: now_s, expires_at_s: now_s + TICKET_TIME.as_secs() }
    }
}

/// Why a ticket lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Not a JWT of ours, or its signature is wrong.
    #[error("the ticket is not one that this relay's directory has signed")]
    Forged,
    /// Its time is over.
    #[error("the ticket has expired; ask the directory for a new one")]
    Expired,
    /// Its time has not begun: the clocks of directory and relay are too far apart.
    #[error("the ticket is from the future: the clocks of directory and relay differ")]
    NotYet,
    /// It names other relays.
    #[error("the ticket is for another relay")]
    OtherRelay,
    /// It is for publishing where watching is asked, or the other way round.
    #[error("the ticket is not for this")]
    OtherAction,
}

impl TicketError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Expired => ErrorCode::TicketExpired,
            _ => ErrorCode::TicketInvalid,
        }
    }
}

/// A key that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the key is not an Ed25519 key of the documented form")]
pub struct InvalidKey;

/// Signs tickets: an Ed25519 private key.
pub struct TicketSigner {
    key: EncodingKey,
    public_key: Vec<u8>,
}

impl TicketSigner {
    /// A signer from a private key in PKCS #8 (RFC 5958), DER.
    ///
    /// # Errors
    /// When `pkcs8` is not such a key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| InvalidKey)?;
        Ok(Self { key: EncodingKey::from_ed_der(pkcs8), public_key: pair.public_key().as_ref().to_vec() })
    }

    /// A new private key in PKCS #8, DER, from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate_pkcs8() -> Result<Vec<u8>, InvalidKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| InvalidKey)?;
        Ok(pair.to_pkcs8v1().map_err(|_| InvalidKey)?.as_ref().to_vec())
    }

    /// The public half, base64url without padding, as relays get it.
    #[must_use]
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.public_key)
    }

    /// The ticket for `grant`.
    ///
    /// # Errors
    /// Never for a key that [`Self::from_pkcs8`] took; the library's signature asks for it.
    pub fn sign(&self, grant: &Grant) -> Result<String, InvalidKey> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), grant, &self.key).map_err(|_| InvalidKey)
    }
}

impl std::fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TicketSigner({})", self.public_key())
    }
}

/// Verifies tickets with the directory's public key.
#[derive(Clone)]
pub struct TicketVerifier {
    key: DecodingKey,
}

impl TicketVerifier {
    /// A verifier from what [`TicketSigner::public_key`] gave.
    ///
    /// # Errors
    /// When `public_key` is not 32 bytes in base64url.
    pub fn new(public_key: &str) -> Result<Self, InvalidKey> {
        let bytes = URL_SAFE_NO_PAD.decode(public_key).map_err(|_| InvalidKey)?;
        if bytes.len() != 32 {
            return Err(InvalidKey);
        }
        Ok(Self { key: DecodingKey::from_ed_der(&bytes) })
    }

    /// What `ticket` grants to somebody who wants `action` at `relay` at `now_s` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// When it is forged, expired, or for something else.
    pub fn verify(&self, ticket: &str, action: Action, relay: &RelayName, now_s: u64) -> Result<Grant, TicketError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false; // judged below, by the caller's clock
        validation.validate_aud = false; // likewise
        let grant =
            jsonwebtoken::decode::<Grant>(ticket, &self.key, &validation).map_err(|_| TicketError::Forged)?.claims;
        if now_s >= grant.expires_at_s {
            return Err(TicketError::Expired);
        }
        if grant.issued_at_s > now_s + TICKET_CLOCK_SKEW_MAX.as_secs() {
            return Err(TicketError::NotYet);
        }
        if !grant.relays.contains(relay) {
            return Err(TicketError::OtherRelay);
        }
        if grant.action != action {
            return Err(TicketError::OtherAction);
        }
        Ok(grant)
    }
}

impl std::fmt::Debug for TicketVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketVerifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_763_000_000;

    fn signer() -> TicketSigner {
        TicketSigner::from_pkcs8(&TicketSigner::generate_pkcs8().unwrap()).unwrap()
    }

    fn relay(name: &str) -> RelayName {
        name.parse().unwrap()
    }

    fn grant() -> Grant {
        let stream = StreamId::of(&"demo".parse().unwrap(), 1);
        Grant::new(stream, Action::Watch, 3, vec![relay("relay-1"), relay("relay-2")], NOW_S)
    }

    #[test]
    fn signed_ticket_grants_what_was_signed() {
        let signer = signer();
        let verifier = TicketVerifier::new(&signer.public_key()).unwrap();
        let ticket = signer.sign(&grant()).unwrap();
        assert_eq!(verifier.verify(&ticket, Action::Watch, &relay("relay-2"), NOW_S), Ok(grant()));
    }

    #[test]
    fn ticket_works_nowhere_else_and_for_nothing_else() {
        let signer = signer();
        let verifier = TicketVerifier::new(&signer.public_key()).unwrap();
        let ticket = signer.sign(&grant()).unwrap();
        let verify = |action, name, now_s| verifier.verify(&ticket, action, &relay(name), now_s);
        assert_eq!(verify(Action::Watch, "relay-3", NOW_S), Err(TicketError::OtherRelay));
        assert_eq!(verify(Action::Publish, "relay-1", NOW_S), Err(TicketError::OtherAction));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S + 600), Err(TicketError::Expired));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S - 31), Err(TicketError::NotYet));
    }

    #[test]
    fn forged_tickets_are_refused() {
        let ours = signer();
        let verifier = TicketVerifier::new(&ours.public_key()).unwrap();
        let ticket = ours.sign(&grant()).unwrap();
        let foreign = signer().sign(&grant()).unwrap();
        let (head, rest) = ticket.split_once('.').unwrap();
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#), rest.split('.').next().unwrap());
        let changed = format!(
            "{head}.{}.{}",
            foreign.split('.').nth(1).unwrap().replace('a', "b"),
            rest.split('.').nth(1).unwrap()
        );
        for forged in [foreign, unsigned, changed, String::new(), "a.b.c".to_owned()] {
            assert_eq!(
                verifier.verify(&forged, Action::Watch, &relay("relay-1"), NOW_S),
                Err(TicketError::Forged),
                "{forged}"
            );
        }
    }
}
