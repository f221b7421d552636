//! A relay's key in the hands of somebody who writes the requests by hand.

use protocol::{
    RelayName, Secret,
    relay_proof::Assertion,
    signing::{PublicKey, SigningKey},
};

use crate::now_ms;

/// An Ed25519 key as a relay has.
#[derive(Debug)]
pub struct RelayKey(SigningKey);

impl RelayKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap())
    }

    /// The key.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// Its public half.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// The `Relay-Assertion` of a request.
    #[must_use]
    pub fn assertion(&self, relay: &RelayName, request: &str, body: &[u8]) -> Secret {
        self.0.sign(&Assertion::new(relay.clone(), request, body, now_ms())).unwrap()
    }
}
