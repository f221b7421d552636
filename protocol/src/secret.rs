//! A text that lets somebody in: a ticket, a password, a pass, a join token. It is shown to nobody by accident.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use ts_rs::TS;
use zeroize::Zeroizing;

/// A text that must not be seen in logs: `Debug` prints nothing of it, it has no `Display`, it is compared in constant time, and
/// its memory is overwritten when it is dropped.
#[derive(Clone, Serialize, Deserialize, TS)]
#[serde(from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for the one place that sends or checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// SHA-256 of the text, to be kept instead of it. Enough for secrets that are random; passwords need more.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.expose().to_owned()
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a random secret: what is stored of it. 64 hexadecimal digits in files.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Whether this is the hash of `secret`, in constant time.
    #[must_use]
    pub fn matches(&self, secret: &Secret) -> bool {
        self.0.ct_eq(&secret.hash().0).into()
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hex::encode(hash.0)
    }
}

impl TryFrom<String> for SecretHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_hides_in_debug_and_matches_its_own_hash_only() {
        let secret = Secret::from("do-not-print-me");
        assert!(!format!("{secret:?} {:?}", secret.hash()).contains("do-not"));
        assert!(secret.hash().matches(&secret));
        assert!(!secret.hash().matches(&"another".into()));
        let kept = serde_json::to_string(&secret.hash()).unwrap();
        assert!(serde_json::from_str::<SecretHash>(&kept).unwrap().matches(&secret));
    }
}
