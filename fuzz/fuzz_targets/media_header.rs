//! Any bytes: refused, or a header that is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{MediaHeader, media_message::MEDIA_HEADER_BYTES};

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, payload)) = MediaHeader::decode(bytes) else { return };
    assert_eq!(payload.len(), bytes.len() - MEDIA_HEADER_BYTES);
    assert_eq!(MediaHeader::decode(&header.message(payload)), Ok((header, payload)));
});
