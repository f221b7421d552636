//! Any bytes in place of the sound encoder's output, in any pieces: refused, or items that do not depend on the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the packager's own file, of which this uses the reader alone")]
#[path = "../../broadcaster/src/package/ogg.rs"]
mod ogg;

use ogg::{OggItem, OggParser};

/// What comes out until there is an error, and whether there is one.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<OggItem>, bool) {
    let (mut parser, mut items) = (OggParser::default(), Vec::new());
    for piece in pieces {
        parser.push(piece);
        loop {
            match parser.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(_) => return (items, true),
            }
        }
    }
    (items, false)
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    // Two pages with the heads of a stream: what follows them is looked at as packets.
    let mut begin = Vec::new();
    for packet in [&b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"[..], b"OpusTags"] {
        begin.extend_from_slice(b"OggS");
        begin.extend_from_slice(&[0; 22]);
        begin.extend_from_slice(&[1, packet.len() as u8]);
        begin.extend_from_slice(packet);
    }
    let whole = pieces.concat();
    let begin = begin.as_slice();
    assert_eq!(read([begin].into_iter().chain(pieces.iter().map(Vec::as_slice))), read([begin, &whole].into_iter()));
    let _ = read(std::iter::once(whole.as_slice()));
});
