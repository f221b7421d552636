//! Any bytes in place of the picture encoder's output, in any pieces: refused, or items that do not depend on the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the packager's own file, of which this uses the reader alone")]
#[path = "../../broadcaster/src/package/flv.rs"]
mod flv;

use flv::{FlvItem, FlvParser};

/// What comes out until there is an error, and whether there is one.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<FlvItem>, bool) {
    let (mut parser, mut items) = (FlvParser::default(), Vec::new());
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
    // What every stream begins with is not to be guessed each time.
    let begin: &[u8] = b"FLV\x01\x01\0\0\0\x09\0\0\0\0";
    let whole = pieces.concat();
    assert_eq!(read([begin].into_iter().chain(pieces.iter().map(Vec::as_slice))), read([begin, &whole].into_iter()));
    let _ = read(std::iter::once(whole.as_slice()));
});
