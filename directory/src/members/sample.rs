//! What tests of members have in common: a moment, keys, names and tokens.

use protocol::{RelayName, relay_proof::JoinToken, signing::PublicKey};

pub(super) const NOW_S: u64 = 1_763_000_000;

/// A key that is another one for each number.
pub(super) fn key(number: u8) -> PublicKey {
    let digit = char::from(b'A' + number);
    format!("{}AAAA", digit.to_string().repeat(39)).parse().unwrap()
}

pub(super) fn name(text: &str) -> RelayName {
    text.parse().unwrap()
}

/// A token for so many relays, for an hour.
pub(super) fn token(uses_max: u32) -> JoinToken {
    JoinToken { id: "t".to_owned(), uses_max, expires_at_s: NOW_S + 3600 }
}
