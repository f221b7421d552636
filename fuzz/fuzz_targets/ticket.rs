//! Any text as a token of every kind: nothing but what was signed passes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use protocol::{
    relay_proof::{Assertion, Identity, JoinToken, Membership},
    signing::{PublicKey, SigningKey},
    ticket::{Action, Grant},
};
use std::time::Duration;

static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    let pkcs8 = SigningKey::generate_pkcs8().expect("randomness");
    SigningKey::from_pkcs8(&pkcs8).expect("a key just made").public_key()
});

fuzz_target!(|text: &str| {
    let relay = "relay-1".parse().expect("a relay name");
    assert!(Grant::verify(&KEY, text, Action::Watch, &relay, 0, Duration::ZERO).is_err());
    assert!(Assertion::verify(&KEY, text, "POST /", b"", 0).is_err());
    assert!(KEY.verify::<JoinToken>(text).is_err());
    assert!(KEY.verify::<Membership>(text).is_err());
    assert!(KEY.verify::<Identity>(text).is_err());
});
