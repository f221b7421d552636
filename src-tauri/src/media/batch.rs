//! Messages of a relay in one piece: each with a byte that says what it is (0 text, 1 media) and its length (u32, big endian)
//! in front. `ui/src/host/app/batch.ts` reads it.

use protocol::limits;

const TEXT: u8 = 0;
const MEDIA: u8 = 1;

/// Messages in their order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn push_text(&mut self, text: &str) {
        self.push(TEXT, text.as_bytes());
    }

    pub(super) fn push_media(&mut self, message: &[u8]) {
        self.push(MEDIA, message);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What has been pushed; empty afterwards.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn push(&mut self, kind: u8, message: &[u8]) {
        // The socket refuses longer ones.
        const { assert!(limits::MESSAGE_BYTES_MAX <= u32::MAX as usize) };
        let Ok(length) = u32::try_from(message.len()) else { return };
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_behind_their_kind_and_length() {
        let mut batch = Batch::default();
        batch.push_text("hi");
        batch.push_media(&[7, 8, 9]);
        assert_eq!(batch.take(), [0, 0, 0, 0, 2, b'h', b'i', 1, 0, 0, 0, 3, 7, 8, 9]);
        assert_eq!(batch.bytes(), 0);
    }
}
