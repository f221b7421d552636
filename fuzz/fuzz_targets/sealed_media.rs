//! Any bytes in place of sealed media: nothing opens but what was sealed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    StreamId,
    seal::{ContentKey, Opened, Opener},
};

fuzz_target!(|messages: Vec<Vec<u8>>| {
    let Ok(key) = ContentKey::generate() else { return };
    let stream = StreamId::of(&"fuzz".parse().expect("a title"), 1);
    let mut opener = Opener::new(key, stream);
    for mut message in messages {
        assert!(!matches!(opener.open(&mut message), Ok(Opened::Payload(..))));
    }
});
