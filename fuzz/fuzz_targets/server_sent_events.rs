//! Any bytes in place of a directory's events, in any pieces: events that do not depend on the pieces, and no more bytes than came.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../broadcaster/src/directory_client/event_parser.rs"]
mod event_parser;

/// What comes out.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut parser = event_parser::EventParser::default();
    let events = pieces.flat_map(|piece| parser.push(piece)).collect();
    assert!(!parser.is_overfull());
    events
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let whole = pieces.concat();
    let events = read(std::iter::once(whole.as_slice()));
    // A byte that is no UTF-8 becomes a sign of three.
    assert!(events.iter().map(String::len).sum::<usize>() <= 3 * whole.len());
    assert_eq!(read(pieces.iter().map(Vec::as_slice)), events);
});
