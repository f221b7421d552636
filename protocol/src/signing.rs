//! Ed25519 keys (RFC 8032) and what is signed with them: JSON Web Tokens (RFC 7519, RFC 8037), each of an explicit type
//! (RFC 8725 3.11), so that one kind can't pass for another.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::Secret;

/// A key that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the key is not an Ed25519 key of the documented form")]
pub struct InvalidKey;

/// A token that is malformed, of another type, or not signed with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the token was not signed with this key")]
pub struct Forged;

/// What can be signed.
pub trait Claims: Serialize + DeserializeOwned {
    /// The token's type, its header's `typ`.
    const TYPE: &'static str;
}

/// Signs tokens: an Ed25519 private key.
pub struct SigningKey {
    key: EncodingKey,
    public_key: PublicKey,
}

impl SigningKey {
    /// A key from PKCS #8 (RFC 5958), DER.
    ///
    /// # Errors
    /// When `pkcs8` is not such a key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| InvalidKey)?;
        let bytes = pair.public_key().as_ref().try_into().map_err(|_| InvalidKey)?;
        Ok(Self { key: EncodingKey::from_ed_der(pkcs8), public_key: PublicKey(bytes) })
    }

    /// A new private key in PKCS #8, DER, from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate_pkcs8() -> Result<Vec<u8>, InvalidKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| InvalidKey)?;
        Ok(pair.to_pkcs8v1().map_err(|_| InvalidKey)?.as_ref().to_vec())
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The token that says `claims`.
    ///
    /// # Errors
    /// Never for a key that [`Self::from_pkcs8`] took; the library's signature asks for it.
    pub fn sign<T: Claims>(&self, claims: &T) -> Result<Secret, InvalidKey> {
        let header = Header { typ: Some(T::TYPE.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).map(Secret::from).map_err(|_| InvalidKey)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key)
    }
}

/// The public half of a [`SigningKey`]: 32 bytes, base64url without padding on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// What `token` says, when it was signed with this key and is of the type asked for. Any other algorithm than EdDSA, `none`
    /// included, is a forgery. Times are for the caller to judge.
    ///
    /// # Errors
    /// When it is forged.
    pub fn verify<T: Claims>(&self, token: &str) -> Result<T, Forged> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false; // judged by the caller's clock
        validation.validate_aud = false; // likewise by the caller
        let key = DecodingKey::from_ed_der(&self.0);
        let token = jsonwebtoken::decode::<T>(token, &key, &validation).map_err(|_| Forged)?;
        if token.header.typ.as_deref() == Some(T::TYPE) { Ok(token.claims) } else { Err(Forged) }
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidKey)?))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Claims for Note {
        const TYPE: &'static str = "note+jwt";
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Other {
        text: String,
    }

    impl Claims for Other {
        const TYPE: &'static str = "other+jwt";
    }

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn note() -> Note {
        Note { text: "hello".to_owned() }
    }

    #[test]
    fn token_is_read_with_its_own_key_as_its_own_type_only() {
        let key = key();
        let token = key.sign(&note()).unwrap();
        assert_eq!(key.public_key().verify::<Note>(token.expose()), Ok(note()));
        assert_eq!(key.public_key().verify::<Other>(token.expose()), Err(Forged));
        assert_eq!(super::tests::key().public_key().verify::<Note>(token.expose()), Err(Forged));
    }

    #[test]
    fn other_algorithms_are_forgeries() {
        let key = key();
        let token = key.sign(&note()).unwrap();
        let claims = token.expose().split('.').nth(1).unwrap().to_owned();
        let head = |alg: &str| URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"note+jwt"}}"#));
        // The public key as an HMAC secret: the classic confusion of algorithms.
        let header = Header { typ: Some(Note::TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        let public_key = URL_SAFE_NO_PAD.decode(key.public_key().to_string()).unwrap();
        let hmac = jsonwebtoken::encode(&header, &note(), &EncodingKey::from_secret(&public_key)).unwrap();
        for forged in [format!("{}.{claims}.", head("none")), format!("{}.{claims}.c2ln", head("EdDSA")), hmac] {
            assert_eq!(key.public_key().verify::<Note>(&forged), Err(Forged), "{forged}");
        }
    }

    #[test]
    fn public_key_is_32_bytes_in_base64url() {
        let public_key = key().public_key();
        assert_eq!(public_key.to_string().parse(), Ok(public_key));
        for text in ["", "short", &"=".repeat(44), &"A".repeat(1000)] {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_passes(text in ".{0,200}") {
            let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
            prop_assert_eq!(key.public_key().verify::<Note>(&text), Err(Forged));
        }
    }
}
