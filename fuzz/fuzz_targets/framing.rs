//! Any bytes on a stream, in any pieces: refused, or messages that do not depend on the pieces, and of which no more is held than came.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::framing::{FrameReader, InvalidFrame, framed};

const MESSAGE_BYTES_MAX: usize = 1024;

fn read(pieces: &[Vec<u8>]) -> (Vec<Bytes>, Result<(), InvalidFrame>) {
    let (mut reader, mut messages) = (FrameReader::new(MESSAGE_BYTES_MAX), Vec::new());
    for piece in pieces {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match reader.next(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(piece.is_empty() && reader.held() < MESSAGE_BYTES_MAX);
    }
    (messages, reader.end())
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let whole = pieces.concat();
    let (messages, end) = read(&pieces);
    let written: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
    assert!(whole.starts_with(&written) && (end.is_err() || whole.len() == written.len()));
    assert_eq!(read(&[whole]), (messages, end));
});
