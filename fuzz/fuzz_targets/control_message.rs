//! Any text: refused, or a message that is read again as it was written. Every direction of the wire.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    control::{ClientHello, FromBroadcaster, FromRelay, FromViewer, ToBroadcaster, ToDirectory, ToViewer},
    http::Order,
};
use serde::{Serialize, de::DeserializeOwned};

fuzz_target!(|text: &str| {
    survives::<ClientHello>(text);
    survives::<FromBroadcaster>(text);
    survives::<FromRelay>(text);
    survives::<FromViewer>(text);
    survives::<ToBroadcaster>(text);
    survives::<ToDirectory>(text);
    survives::<ToViewer>(text);
    survives::<Order>(text);
});

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(message) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_string(&message).expect("what was read can be written");
    assert_eq!(serde_json::from_str::<T>(&written).expect("what was written can be read"), message);
}
