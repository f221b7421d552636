//! What is to be written to one peer: WebSocket frames (RFC 6455 5.2). A media message comes framed, the same bytes for all; others get a
//! head here.

use std::io::IoSlice;

use tokio_tungstenite::tungstenite::Bytes;

/// Bytes of the longest head of a frame that a server sends: two, and eight for the length.
const HEAD_BYTES_MAX: usize = 10;

/// Frames that one write hands to the kernel; more of them take more writes. A viewer that is a second behind has as many.
const FRAMES_WRITTEN_MAX: usize = 32;

/// Slices of one write: a head and a payload for each frame.
pub(super) const SLICES_MAX: usize = 2 * FRAMES_WRITTEN_MAX;

/// What a frame is (RFC 6455 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    /// A control message of this protocol.
    Text = 0x1,
    /// The last frame.
    Close = 0x8,
    /// Asks for a sign of life.
    Ping = 0x9,
}

/// Frames in the order in which they are written. Their room is kept: the next ones need no allocation.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: Vec<Frame>,
    /// How many of them are written.
    done: usize,
    /// How many bytes of the next one are written.
    written: usize,
    /// Bytes that are not written yet, heads included.
    unwritten: usize,
}

#[derive(Debug)]
struct Frame {
    head: [u8; HEAD_BYTES_MAX],
    head_len: u8,
    payload: Bytes,
}

impl Frames {
    /// Appends a whole message, unmasked as a server's are.
    pub(super) fn push(&mut self, opcode: Opcode, payload: Bytes) {
        let (head, head_len) = head(opcode as u8, payload.len());
        self.append(Frame { head, head_len, payload });
    }

    /// Appends a frame that has its head.
    pub(super) fn push_framed(&mut self, frame: Bytes) {
        self.append(Frame { head: [0; HEAD_BYTES_MAX], head_len: 0, payload: frame });
    }

    fn append(&mut self, frame: Frame) {
        self.unwritten += frame.len();
        self.frames.push(frame);
    }

    /// Bytes that are not written yet.
    pub(super) const fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// Whether a frame is written in part: its rest comes before anything else.
    pub(super) const fn is_within_frame(&self) -> bool {
        self.written > 0
    }

    /// What is to be written, when it lies in one piece.
    pub(super) fn only_slice(&self) -> Option<&[u8]> {
        match &self.frames[self.done..] {
            [frame] if self.written >= frame.head().len() => frame.payload.get(self.written - frame.head().len()..),
            _ => None,
        }
    }

    /// Puts what is to be written next into `slices`; how many they are.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut skip = self.written;
        let mut used = 0;
        for frame in self.frames[self.done..].iter().take(FRAMES_WRITTEN_MAX) {
            for part in [frame.head(), &frame.payload] {
                let rest = part.get(skip..).unwrap_or_default();
                skip = skip.saturating_sub(part.len());
                if !rest.is_empty() {
                    slices[used] = IoSlice::new(rest);
                    used += 1;
                }
            }
        }
        used
    }

    /// Takes note that `bytes` of them are written.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
        while let Some(frame) = self.frames.get(self.done)
            && bytes >= frame.len() - self.written
        {
            bytes -= frame.len() - self.written;
            self.done += 1;
            self.written = 0;
        }
        self.written += bytes;
        if self.done == self.frames.len() {
            self.frames.clear();
            (self.done, self.written) = (0, 0);
        }
    }
}

/// The head of a frame with a media message of `len` bytes, and the bytes of it that count.
pub(in crate::transport) const fn media_head(len: usize) -> ([u8; HEAD_BYTES_MAX], u8) {
    const BINARY: u8 = 0x2;
    head(BINARY, len)
}

/// The head of a whole message, unmasked as a server's are.
const fn head(opcode: u8, len: usize) -> ([u8; HEAD_BYTES_MAX], u8) {
    const LAST: u8 = 0x80;
    let length = (len as u64).to_be_bytes();
    let [.., l6, l7] = length;
    match len {
        0..=125 => ([LAST | opcode, l7, 0, 0, 0, 0, 0, 0, 0, 0], 2),
        126..=0xFFFF => ([LAST | opcode, 126, l6, l7, 0, 0, 0, 0, 0, 0], 4),
        _ => {
            let [l0, l1, l2, l3, l4, l5, l6, l7] = length;
            ([LAST | opcode, 127, l0, l1, l2, l3, l4, l5, l6, l7], HEAD_BYTES_MAX as u8)
        }
    }
}

impl Frame {
    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    fn len(&self) -> usize {
        usize::from(self.head_len) + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is written when the kernel takes at most `step` bytes at a time.
    fn written(frames: &mut Frames, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while frames.unwritten() > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let used = frames.slices(&mut slices);
            let mut taken: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
            if let Some(only) = frames.only_slice() {
                assert_eq!(only, taken);
            }
            taken.truncate(step);
            frames.advance(taken.len());
            all.extend(taken);
        }
        all
    }

    #[test]
    fn heads_are_as_long_as_the_payload_needs() {
        for (len, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (0xFFFF, vec![0x81, 126, 0xFF, 0xFF]),
            (0x1_0000, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut frames = Frames::default();
            frames.push(Opcode::Text, vec![7; len].into());
            let bytes = written(&mut frames, usize::MAX);
            assert_eq!(bytes[..head.len()], head);
            assert_eq!(bytes[head.len()..], vec![7; len]);
        }
    }

    #[test]
    fn whatever_the_kernel_takes_at_a_time_everything_is_written_once_and_in_order() {
        let expected = b"\x81\x02hi\x82\x03abc\x89\x00\x88\x02\x03\xE8";
        for step in 1..=expected.len() {
            let mut frames = Frames::default();
            frames.push(Opcode::Text, Bytes::from_static(b"hi"));
            frames.push_framed(Bytes::from_static(b"\x82\x03abc"));
            frames.push(Opcode::Ping, Bytes::new());
            frames.push(Opcode::Close, Bytes::from_static(b"\x03\xE8"));
            assert_eq!(frames.unwritten(), expected.len());
            assert_eq!(written(&mut frames, step), expected, "{step} bytes at a time");
            assert!(!frames.is_within_frame());
        }
    }

    #[test]
    fn more_frames_than_one_write_takes_are_written_by_several() {
        let mut frames = Frames::default();
        for number in 0..100 {
            frames.push(Opcode::Text, vec![number].into());
        }
        let bytes = written(&mut frames, usize::MAX);
        assert_eq!(bytes.chunks(3).map(|frame| frame[2]).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }
}
