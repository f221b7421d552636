//! The key that viewers have in their link.

use std::{fmt, str::FromStr};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use super::SealError;

/// Bytes of a content key.
const KEY_BYTES: usize = 32;

/// A text that is no content key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a content key is 32 bytes in base64url: the link is not whole")]
pub struct InvalidContentKey;

/// What a stream is sealed with: 32 random bytes, base64url without padding in the link's fragment, `#k=...`. `Debug` prints
/// nothing of it, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The link's fragment, without the `#`: for whoever may watch, and nobody else.
    #[must_use]
    pub fn fragment(&self) -> String {
        format!("k={}", URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl FromStr for ContentKey {
    type Err = InvalidContentKey;

    /// Reads the base64url text, without the `k=` before it.
    fn from_str(text: &str) -> Result<Self, InvalidContentKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidContentKey)?);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return Err(InvalidContentKey);
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}
