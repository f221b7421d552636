//! Reads the frames of a server (RFC 6455 5.2) as their bytes come, and keeps no more of a media message than its beginning.

use anyhow::{Result, bail, ensure};
use protocol::{limits::CONTROL_BYTES_MAX, media_message::MEDIA_HEADER_BYTES};

/// Bytes that are kept of a media message: its header and one of its payload, without which it is none.
pub const MEDIA_KEPT_BYTES: usize = MEDIA_HEADER_BYTES + 1;

/// What has come whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A control message.
    Text(&'a [u8]),
    /// The beginning of a media message, with [`MEDIA_KEPT_BYTES`] at most, and the length of the whole.
    Media(&'a [u8], u64),
    /// A ping, whose payload is to be sent back.
    Ping(&'a [u8]),
    /// The server says good-bye.
    Close,
}

/// Where in a frame the reader is.
#[derive(Debug, Default)]
pub struct MessageReader {
    head: Vec<u8>,
    /// Opcode, payload bytes in all, payload bytes still to come; `None` within a head.
    payload: Option<(u8, u64, u64)>,
    kept: Vec<u8>,
}

impl MessageReader {
    /// Takes what has come, and gives each message that is whole now to `each`.
    ///
    /// # Errors
    /// When it is no unfragmented, unmasked frame of a known kind, or a control message is too long.
    pub fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(Message<'_>) -> Result<()>) -> Result<()> {
        loop {
            let Some((opcode, len, left)) = &mut self.payload else {
                if !self.take_head(&mut bytes)? {
                    return Ok(());
                }
                continue;
            };
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            let wanted = if *opcode == 2 { MEDIA_KEPT_BYTES } else { CONTROL_BYTES_MAX };
            let kept = taken.min(wanted.saturating_sub(self.kept.len()));
            self.kept.extend_from_slice(&bytes[..kept]);
            bytes = &bytes[taken..];
            *left -= taken as u64;
            if *left > 0 {
                return Ok(());
            }
            each(match *opcode {
                1 => Message::Text(&self.kept),
                2 => Message::Media(&self.kept, *len),
                8 => Message::Close,
                _ => Message::Ping(&self.kept),
            })?;
            self.kept.clear();
            self.payload = None;
        }
    }

    /// Takes bytes of a frame's head; whether it is whole.
    fn take_head(&mut self, bytes: &mut &[u8]) -> Result<bool> {
        while let Some((byte, rest)) = bytes.split_first() {
            self.head.push(*byte);
            *bytes = rest;
            let len = match (self.head.len(), self.head.get(1)) {
                (2, Some(len @ 0..=125)) => u64::from(*len),
                (4, Some(126)) => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
                (10, Some(127)) => self.head[2..].iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
                (_, Some(128..)) => bail!("a server's frame is masked"),
                _ => continue,
            };
            let opcode = self.head[0] & 0xF;
            ensure!(self.head[0] & 0xF0 == 0x80, "a frame is a fragment, or extended");
            ensure!(matches!(opcode, 1 | 2 | 8 | 9), "a frame of opcode {opcode} was not expected");
            ensure!(opcode == 2 || len <= CONTROL_BYTES_MAX as u64, "a control message has {len} bytes");
            self.payload = Some((opcode, len, len));
            self.head.clear();
            return Ok(true);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whatever_comes_at_a_time() {
        let mut bytes = b"\x81\x02hi\x89\x01p".to_vec();
        bytes.extend_from_slice(&[0x82, 126, 1, 0]);
        bytes.extend((0..=255).collect::<Vec<u8>>());
        bytes.extend_from_slice(b"\x88\x00");
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut reader = MessageReader::default();
            let mut seen = Vec::new();
            for part in bytes.chunks(step) {
                let keep = |message: Message<'_>| {
                    seen.push(format!("{message:?}"));
                    Ok(())
                };
                reader.take(part, keep).unwrap();
            }
            let header: Vec<u8> = (0..MEDIA_KEPT_BYTES as u8).collect();
            let expected = [Message::Text(b"hi"), Message::Ping(b"p"), Message::Media(&header, 256), Message::Close];
            assert_eq!(seen, expected.map(|message| format!("{message:?}")), "{step} bytes at a time");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        for bytes in [&[0x82, 0x81][..], &[0x02, 1], &[0x83, 1], &[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(MessageReader::default().take(bytes, |_| Ok(())).is_err(), "{bytes:?}");
        }
    }
}
