//! Reads H.264 out of an FLV stream (Adobe Flash Video File Format Specification 10.1, annex E) as its bytes arrive.
//!
//! FLV, because its muxer writes each frame the moment it has it, with its time in milliseconds, whether it is a key frame, and
//! its samples in the length-prefixed form that CMAF wants.

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

const SIGNATURE: &[u8] = b"FLV";
const TAG_HEADER_BYTES: usize = 11;
const PREVIOUS_TAG_SIZE_BYTES: usize = 4;
const TAG_VIDEO: u8 = 9;
const TAG_SCRIPT: u8 = 18;
const VIDEO_HEADER_BYTES: usize = 5;
const CODEC_AVC: u8 = 7;

/// Something of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FlvItem {
    /// The decoder's configuration: an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3.1).
    Config(Bytes),
    /// One encoded frame.
    Frame(FlvFrame),
}

/// One encoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlvFrame {
    /// Its time in milliseconds, modulo 2^31.
    pub(crate) time_ms: u32,
    /// Whether it is a key frame.
    pub(crate) key: bool,
    /// NAL units, each behind its length in 4 bytes.
    pub(crate) data: Bytes,
}

/// Bytes that are not FLV with H.264 in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FlvError {
    /// The stream does not begin as FLV does.
    #[error("the encoder's output is not FLV")]
    Signature,
    /// A picture that is not H.264, or a tag too short for one.
    #[error("the encoder's output is not H.264 in FLV")]
    Video,
}

/// Takes bytes as they come and gives complete items.
#[derive(Debug, Default)]
pub(crate) struct FlvParser {
    bytes: BytesMut,
    began: bool,
    size: Option<(u32, u32)>,
}

impl FlvParser {
    /// Width and height of the picture in pixels, once the stream has told them; it does before its first item.
    pub(crate) const fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// More bytes have arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete item, or `None` until more bytes arrive.
    pub(crate) fn next(&mut self) -> Result<Option<FlvItem>, FlvError> {
        if !self.began && !self.begin()? {
            return Ok(None);
        }
        while let Some((kind, time_ms, body)) = self.tag() {
            if kind == TAG_SCRIPT {
                self.size = number(&body, "width").zip(number(&body, "height")).or(self.size);
            }
            if kind == TAG_VIDEO
                && let Some(item) = video(time_ms, body)?
            {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn begin(&mut self) -> Result<bool, FlvError> {
        let known = self.bytes.len().min(SIGNATURE.len());
        if self.bytes[..known] != SIGNATURE[..known] {
            return Err(FlvError::Signature);
        }
        let Some(header) = self.bytes.first_chunk::<9>() else { return Ok(false) };
        let [.., o0, o1, o2, o3] = *header;
        let bytes = u32::from_be_bytes([o0, o1, o2, o3]) as usize;
        if !(9..=64).contains(&bytes) {
            return Err(FlvError::Signature);
        }
        if self.bytes.len() < bytes + PREVIOUS_TAG_SIZE_BYTES {
            return Ok(false);
        }
        self.bytes.advance(bytes + PREVIOUS_TAG_SIZE_BYTES);
        self.began = true;
        Ok(true)
    }

    fn tag(&mut self) -> Option<(u8, u32, Bytes)> {
        let [kind, s0, s1, s2, t0, t1, t2, t3, ..] = *self.bytes.first_chunk::<TAG_HEADER_BYTES>()?;
        let size = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        let whole = TAG_HEADER_BYTES + size + PREVIOUS_TAG_SIZE_BYTES;
        if self.bytes.len() < whole {
            self.bytes.reserve(whole - self.bytes.len());
            return None;
        }
        let mut tag = self.bytes.split_to(whole).freeze();
        let body = tag.split_off(TAG_HEADER_BYTES).slice(..size);
        let time_ms = u32::from_be_bytes([t3 & 0x7f, t0, t1, t2]);
        Some((kind & 0x1f, time_ms, body))
    }
}

/// A number of the `onMetaData` script (AMF 0): its name behind the name's length, a type of 0, and a double.
fn number(script: &[u8], name: &str) -> Option<u32> {
    let needle = [&[0, u8::try_from(name.len()).ok()?], name.as_bytes(), &[0]].concat();
    let at = script.windows(needle.len()).position(|window| window == needle)? + needle.len();
    let value = f64::from_be_bytes(*script.get(at..)?.first_chunk::<8>()?);
    (value.fract() == 0.0 && (1.0..=65_535.0).contains(&value)).then_some(value as u32)
}

fn video(time_ms: u32, mut body: Bytes) -> Result<Option<FlvItem>, FlvError> {
    let Some([kind_and_codec, packet, ..]) = body.first_chunk::<VIDEO_HEADER_BYTES>().copied() else {
        return Err(FlvError::Video);
    };
    if kind_and_codec & 0x0f != CODEC_AVC {
        return Err(FlvError::Video);
    }
    body.advance(VIDEO_HEADER_BYTES);
    Ok(match packet {
        0 => Some(FlvItem::Config(body)),
        1 if body.is_empty() => None,
        1 => Some(FlvItem::Frame(FlvFrame { time_ms, key: kind_and_codec >> 4 == 1, data: body })),
        _ => None, // the end of the sequence
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(kind: u8, time_ms: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let time = time_ms.to_be_bytes();
        let mut tag = vec![kind, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0];
        tag.extend_from_slice(body);
        tag.extend_from_slice(&[0; 4]);
        tag
    }

    fn stream() -> Vec<u8> {
        let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
        bytes.extend(tag(18, 0, b"metadata"));
        bytes.extend(tag(9, 0, b"\x17\0\0\0\0avcC"));
        bytes.extend(tag(9, 0x7fff_fffe, b"\x17\x01\0\0\0key"));
        bytes.extend(tag(9, 31, b"\x27\x01\0\0\0delta"));
        bytes.extend(tag(9, 32, b"\x17\x02\0\0\0"));
        bytes
    }

    fn all(parser: &mut FlvParser) -> Result<Vec<FlvItem>, FlvError> {
        std::iter::from_fn(|| parser.next().transpose()).collect()
    }

    fn expected() -> Vec<FlvItem> {
        let frame = |time_ms, key, data: &'static [u8]| {
            FlvItem::Frame(FlvFrame { time_ms, key, data: Bytes::from_static(data) })
        };
        vec![FlvItem::Config(Bytes::from_static(b"avcC")), frame(0x7fff_fffe, true, b"key"), frame(31, false, b"delta")]
    }

    #[test]
    fn frames_come_out_the_moment_their_last_byte_is_in() {
        let bytes = stream();
        let mut parser = FlvParser::default();
        let mut items = Vec::new();
        for byte in &bytes {
            parser.push(&[*byte]);
            items.extend(all(&mut parser).unwrap());
        }
        assert_eq!(items, expected());
    }

    #[test]
    fn metadata_tells_the_size() {
        let mut script = b"\x02\0\x0aonMetaData\x08\0\0\0\x02\0\x05width\0".to_vec();
        script.extend(1280_f64.to_be_bytes());
        script.extend(b"\0\x06height\0");
        script.extend(720_f64.to_be_bytes());
        let mut parser = FlvParser::default();
        parser.push(&stream()[..13]);
        parser.push(&tag(18, 0, &script));
        assert_eq!((parser.next(), parser.size()), (Ok(None), Some((1280, 720))));
    }

    #[test]
    fn other_streams_are_refused() {
        let mut parser = FlvParser::default();
        parser.push(b"GIF89a");
        assert_eq!(parser.next(), Err(FlvError::Signature));
        let mut parser = FlvParser::default();
        parser.push(&stream()[..13]);
        parser.push(&tag(9, 0, b"\x12\0\0\0\0sorenson"));
        assert_eq!(parser.next(), Err(FlvError::Video));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cut in 0_usize..200) {
            let bytes = stream();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut parser = FlvParser::default();
            parser.push(head);
            let mut items = all(&mut parser).unwrap();
            parser.push(tail);
            items.extend(all(&mut parser).unwrap());
            prop_assert_eq!(items, expected());
        }

        #[test]
        fn no_bytes_make_it_panic(head: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = FlvParser::default();
            if head {
                parser.push(&stream()[..13]);
            }
            parser.push(&bytes);
            let _ = all(&mut parser);
        }
    }
}
