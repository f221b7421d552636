//! Passwords of streams: argon2id (RFC 9106), which makes each guess cost time and memory. What is said here is slow on purpose:
//! [`crate::password_gate`] says when.

use std::{fmt, str::FromStr};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use protocol::{
    Secret,
    limits::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN},
};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// KiB of memory for one hash: 19 MiB with two passes is what the OWASP cheat sheet on storing passwords asks of argon2id.
const MEMORY_KIB: u32 = 19 * 1024;

/// Passes over the memory.
const PASSES: u32 = 2;

/// Lanes.
const LANES: u32 = 1;

/// Why a password can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidPassword {
    /// The visibility asks for one.
    #[error("a stream with a password needs the password")]
    Missing,
    /// The visibility is another.
    #[error("a password is for streams whose visibility is `password`")]
    NotWanted,
    /// Too short or too long.
    #[error("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")]
    Length,
}

/// Checks the form of a password that somebody chose.
///
/// # Errors
/// When it is too short or too long.
pub fn check_form(password: &Secret) -> Result<(), InvalidPassword> {
    let chars = password.expose().chars().count();
    let fits = (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars);
    if fits { Ok(()) } else { Err(InvalidPassword::Length) }
}

/// What is kept of a password.
#[derive(Clone)]
pub struct PasswordHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

/// The hash can't be made: there is no memory for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a password could not be hashed")]
pub struct HashError;

impl PasswordHash {
    /// The hash of `password` with a random `salt`. Takes tens of milliseconds.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(password: &Secret, salt: [u8; 16]) -> Result<Self, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError)?;
        let mut hash = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(password.expose().as_bytes(), &salt, &mut hash).map_err(|_| HashError)?;
        Ok(Self { salt, hash })
    }

    /// Whether this is the hash of `password`. Takes as long, whether it is or not.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn matches(&self, password: &Secret) -> Result<bool, HashError> {
        Ok(Self::new(password, self.salt)?.hash.ct_eq(&self.hash).into())
    }
}

/// Not a hash that this release makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the password's hash is not of a form that this release knows")]
pub struct InvalidPasswordHash;

/// The string form that other programs know, too (PHC): `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, hash) = (STANDARD_NO_PAD.encode(self.salt), STANDARD_NO_PAD.encode(self.hash));
        write!(f, "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        let cost = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        let (salt, hash) = text.strip_prefix(&cost).and_then(|rest| rest.split_once('$')).ok_or(InvalidPasswordHash)?;
        let bytes = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| InvalidPasswordHash);
        let salt = bytes(salt)?.try_into().map_err(|_| InvalidPasswordHash)?;
        Ok(Self { salt, hash: bytes(hash)?.try_into().map_err(|_| InvalidPasswordHash)? })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_matches_its_own_password_only_and_is_salted() {
        let hash = PasswordHash::new(&"correct horse".into(), [1; 16]).unwrap();
        assert_eq!(hash.matches(&"correct horse".into()), Ok(true));
        assert_eq!(hash.matches(&"correct horsf".into()), Ok(false));
        assert_eq!(hash.matches(&"".into()), Ok(false));
        assert_ne!(hash.hash, PasswordHash::new(&"correct horse".into(), [2; 16]).unwrap().hash);
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    #[test]
    fn hash_is_argon2id_of_the_documented_cost() {
        let hash = PasswordHash::new(&"correct horse".into(), *b"saltsaltsaltsalt").unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, Some(32)).unwrap());
        let mut expected = [0; 32];
        argon2.hash_password_into(b"correct horse", b"saltsaltsaltsalt", &mut expected).unwrap();
        assert_eq!(hash.hash, expected);
    }

    #[test]
    fn hash_survives_its_text_and_no_other_text_is_one() {
        let hash = PasswordHash::new(&"correct horse".into(), [1; 16]).unwrap();
        let text = hash.to_string();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$"), "{text}");
        assert_eq!(text.parse::<PasswordHash>().unwrap().matches(&"correct horse".into()), Ok(true));
        let cheap = text.replace("m=19456", "m=8");
        for wrong in ["", "$argon2id$", &cheap, &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(wrong.parse::<PasswordHash>().unwrap_err(), InvalidPasswordHash, "{wrong}");
        }
    }

    #[test]
    fn length_counts_characters() {
        for (text, fits) in [("abc", false), ("äöüß", true), (&"x".repeat(128), true), (&"x".repeat(129), false)] {
            assert_eq!(check_form(&text.into()).is_ok(), fits, "{text}");
        }
    }
}
