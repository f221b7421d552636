//! Messages on a stream of bytes: each is its length, four bytes big endian, and its bytes. So travel control messages (JSON) on
//! the control stream of a WebTransport session, and media messages on the stream of one segment.
//!
//! `vectors/framing.json` holds bytes that this and the TypeScript reader both test against.

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

/// Bytes of a frame before its message.
pub const FRAME_HEAD_BYTES: usize = 4;

/// How much room is made at most for bytes that are only promised: a peer that names a large length and sends nothing costs this.
const ROOM_BYTES_MAX: usize = 64 * 1024;

/// What goes before a message of `len` bytes, which are at most [`crate::limits::MESSAGE_BYTES_MAX`].
#[must_use]
pub fn frame_head(len: usize) -> [u8; FRAME_HEAD_BYTES] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// A whole frame around `message`.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEAD_BYTES + message.len());
    bytes.extend_from_slice(&frame_head(message.len()));
    bytes.extend_from_slice(message);
    bytes
}

/// Why bytes are not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidFrame {
    /// Longer than it may be.
    #[error("a message here has at most {max} bytes, not {len}")]
    TooLarge {
        /// What its head says.
        len: usize,
        /// What may be.
        max: usize,
    },
    /// A frame without a message.
    #[error("a message has at least one byte")]
    Empty,
    /// The stream ended within a frame.
    #[error("the stream ended within a message")]
    Cut,
}

/// Takes a stream of bytes apart into messages. After an error it is of no more use.
#[derive(Debug)]
pub struct FrameReader {
    message_bytes_max: usize,
    head: [u8; FRAME_HEAD_BYTES],
    head_len: usize,
    body: BytesMut,
}

impl FrameReader {
    /// A reader of messages of at most `message_bytes_max` bytes.
    #[must_use]
    pub fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, head: [0; FRAME_HEAD_BYTES], head_len: 0, body: BytesMut::new() }
    }

    /// The next message, as far as `bytes` complete one; they are used up as far as they were read. To be asked until it has none.
    /// A message that lies whole in `bytes` is not copied.
    ///
    /// # Errors
    /// When a message is longer than it may be, or empty.
    pub fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, InvalidFrame> {
        while self.head_len < FRAME_HEAD_BYTES {
            if bytes.is_empty() {
                return Ok(None);
            }
            self.head[self.head_len] = bytes.get_u8();
            self.head_len += 1;
        }
        let len = u32::from_be_bytes(self.head) as usize;
        if len == 0 {
            return Err(InvalidFrame::Empty);
        }
        if len > self.message_bytes_max {
            return Err(InvalidFrame::TooLarge { len, max: self.message_bytes_max });
        }
        if self.body.is_empty() && bytes.len() >= len {
            self.head_len = 0;
            return Ok(Some(bytes.split_to(len)));
        }
        if self.body.is_empty() {
            self.body.reserve(len.min(ROOM_BYTES_MAX));
        }
        let taken = bytes.split_to((len - self.body.len()).min(bytes.len()));
        self.body.extend_from_slice(&taken);
        if self.body.len() < len {
            return Ok(None);
        }
        self.head_len = 0;
        Ok(Some(self.body.split().freeze()))
    }

    /// Bytes held of a message that has not come whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.body.len()
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When that was within a message.
    pub const fn end(&self) -> Result<(), InvalidFrame> {
        if self.head_len == 0 { Ok(()) } else { Err(InvalidFrame::Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../vectors/framing.json");

    /// What comes out when the stream comes in these pieces.
    fn read(max: usize, pieces: &[Vec<u8>]) -> Result<Vec<Bytes>, InvalidFrame> {
        let mut reader = FrameReader::new(max);
        let mut messages = Vec::new();
        for piece in pieces {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(message) = reader.next(&mut piece)? {
                messages.push(message);
            }
            assert!(piece.is_empty(), "what is not read is lost");
        }
        reader.end()?;
        Ok(messages)
    }

    fn pieces_of(vector: &Value) -> Vec<Vec<u8>> {
        vector["pieces"].as_array().unwrap().iter().map(|piece| hex::decode(piece.as_str().unwrap()).unwrap()).collect()
    }

    #[test]
    fn golden_vectors_are_read_and_written() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let max = vectors["message_bytes_max"].as_u64().unwrap() as usize;
        for vector in vectors["valid"].as_array().unwrap() {
            let pieces = pieces_of(vector);
            let messages = read(max, &pieces).unwrap();
            let expected: Vec<_> =
                vector["messages"].as_array().unwrap().iter().map(|message| message.as_str().unwrap()).collect();
            assert_eq!(messages.iter().map(hex::encode).collect::<Vec<_>>(), expected, "{}", vector["name"]);
            let written: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
            assert_eq!(written, pieces.concat(), "{}", vector["name"]);
        }
    }

    #[test]
    fn golden_vectors_of_broken_streams_are_refused() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let max = vectors["message_bytes_max"].as_u64().unwrap() as usize;
        for vector in vectors["invalid"].as_array().unwrap() {
            let error = match read(max, &pieces_of(vector)).unwrap_err() {
                InvalidFrame::TooLarge { .. } => "too_large",
                InvalidFrame::Empty => "empty",
                InvalidFrame::Cut => "cut",
            };
            assert_eq!(error, vector["error"], "{}", vector["name"]);
        }
    }

    #[test]
    fn promised_length_makes_no_room_before_its_bytes_come() {
        let mut reader = FrameReader::new(4 * 1024 * 1024);
        let mut bytes = Bytes::from(vec![0, 0x3f, 0, 0, 1]);
        assert_eq!(reader.next(&mut bytes), Ok(None));
        assert!(reader.body.capacity() <= 2 * ROOM_BYTES_MAX, "{}", reader.body.capacity());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8),
            cuts in proptest::collection::vec(1_usize..20, 1..200),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
            let (mut pieces, mut left) = (Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if left.is_empty() { break }
                let (piece, rest) = left.split_at((*cut).min(left.len()));
                pieces.push(piece.to_vec());
                left = rest;
            }
            prop_assert_eq!(read(50, &pieces).unwrap(), messages);
        }

        #[test]
        fn no_bytes_make_it_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let _ = read(1000, &pieces);
        }
    }
}
