//! A media message as it is held: framed once, for all who get it.

use bytes::Bytes;

use super::websocket::frame_head;

/// A media message behind the head of its WebSocket frame (RFC 6455 5.2). Every viewer is written these same bytes as one piece, which
/// costs the kernel less than two; whoever is served over something else gets the message alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFrame {
    frame: Bytes,
    head_len: u8,
}

impl MediaFrame {
    /// Frames `message`. Its bytes are copied: they share their allocation with whatever came with them, and would keep it.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let (head, head_len) = frame_head(message.len());
        let mut frame = Vec::with_capacity(usize::from(head_len) + message.len());
        frame.extend_from_slice(&head[..usize::from(head_len)]);
        frame.extend_from_slice(message);
        Self { frame: frame.into(), head_len }
    }

    /// The frame.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The message: its 20-byte header and its payload.
    #[must_use]
    pub fn message(&self) -> Bytes {
        self.frame.slice(usize::from(self.head_len)..)
    }

    /// The message, borrowed.
    #[must_use]
    pub fn as_message(&self) -> &[u8] {
        &self.frame[usize::from(self.head_len)..]
    }

    /// Bytes of the message.
    #[must_use]
    pub const fn message_len(&self) -> usize {
        self.frame.len() - self.head_len as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_lies_behind_the_head_that_its_length_needs() {
        for (len, head) in
            [(125, &[0x82, 125][..]), (126, &[0x82, 126, 0, 126]), (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0])]
        {
            let message = vec![7; len];
            let frame = MediaFrame::of(&message);
            assert_eq!(frame.message(), message);
            assert_eq!(frame.as_message(), message);
            assert_eq!(frame.message_len(), len);
            assert_eq!(frame.frame(), &[head, &message].concat());
        }
    }
}
