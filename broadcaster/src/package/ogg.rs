//! Reads Opus packets out of an Ogg stream (RFC 3533, RFC 7845) as its bytes arrive.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

const CAPTURE: &[u8; 4] = b"OggS";
const HEADER_BYTES: usize = 27;

/// Longest packet that is put together from pieces: far above 120 ms of Opus at its highest rate.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Samples per second of every Opus time (RFC 7845 4).
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Something of the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OggItem {
    /// The `OpusHead` packet: channels and how many samples to skip.
    Head {
        /// Channels.
        channels: u8,
        /// Samples that the decoder puts out before the first that was put into the encoder.
        pre_skip: u16,
    },
    /// One Opus packet.
    Packet {
        /// The sound.
        data: Bytes,
        /// How long it plays, in samples at [`SAMPLE_RATE`].
        samples: u32,
        /// Where it ends, in samples since the stream's beginning.
        end: u64,
    },
}

/// Bytes that are not Ogg with Opus in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum OggError {
    /// Not an Ogg page where one must be.
    #[error("the sound encoder's output is not Ogg")]
    Page,
    /// Not Opus.
    #[error("the sound encoder's output is not Opus in Ogg")]
    Opus,
}

/// Takes bytes as they come and gives complete items.
#[derive(Debug, Default)]
pub(crate) struct OggParser {
    bytes: BytesMut,
    packet: BytesMut,
    ready: VecDeque<(Bytes, Option<u64>)>,
    packets: u64,
    end: u64,
    pre_skip: u16,
}

impl OggParser {
    /// More bytes have arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete item, or `None` until more bytes arrive.
    pub(crate) fn next(&mut self) -> Result<Option<OggItem>, OggError> {
        loop {
            while let Some((packet, granule)) = self.ready.pop_front() {
                self.packets += 1;
                match self.packets {
                    1 => {
                        let head = head(&packet)?;
                        if let OggItem::Head { pre_skip, .. } = head {
                            self.pre_skip = pre_skip;
                        }
                        return Ok(Some(head));
                    }
                    2 => {} // OpusTags
                    _ if packet.is_empty() => {}
                    _ => {
                        let samples = samples(&packet);
                        self.end += u64::from(samples);
                        if let Some(granule) = granule {
                            self.end = granule.saturating_sub(self.pre_skip.into());
                        }
                        return Ok(Some(OggItem::Packet { data: packet, samples, end: self.end }));
                    }
                }
            }
            if !self.page()? {
                return Ok(None);
            }
        }
    }

    fn page(&mut self) -> Result<bool, OggError> {
        let known = self.bytes.len().min(CAPTURE.len());
        if self.bytes[..known] != CAPTURE[..known] {
            return Err(OggError::Page);
        }
        if self.bytes.len() < HEADER_BYTES {
            return Ok(false);
        }
        let segments = usize::from(self.bytes[HEADER_BYTES - 1]);
        if self.bytes.len() < HEADER_BYTES + segments {
            return Ok(false);
        }
        let lacing = self.bytes[HEADER_BYTES..HEADER_BYTES + segments].to_vec();
        let body: usize = lacing.iter().map(|&bytes| usize::from(bytes)).sum();
        if self.bytes.len() < HEADER_BYTES + segments + body {
            return Ok(false);
        }
        let granule = self.bytes[6..].first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        let granule = granule.filter(|&granule| granule < u64::MAX / 2); // -1: no packet ends on the page
        self.bytes.advance(HEADER_BYTES + segments);
        for bytes in lacing {
            let part = self.bytes.split_to(usize::from(bytes));
            self.packet.extend_from_slice(&part);
            if self.packet.len() > PACKET_BYTES_MAX {
                return Err(OggError::Opus);
            }
            if bytes < 255 {
                self.ready.push_back((self.packet.split().freeze(), None));
            }
        }
        if let Some((_, end)) = self.ready.back_mut() {
            *end = granule;
        }
        Ok(true)
    }
}

fn head(packet: &[u8]) -> Result<OggItem, OggError> {
    match *packet {
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', version, channels @ 1..=2, p0, p1, ..] if version < 16 => {
            Ok(OggItem::Head { channels, pre_skip: u16::from_le_bytes([p0, p1]) })
        }
        _ => Err(OggError::Opus),
    }
}

/// How long a packet plays, in samples at 48 kHz, from its first bytes (RFC 6716 3.1 and 3.2).
fn samples(packet: &[u8]) -> u32 {
    let toc = packet.first().copied().unwrap_or_default();
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1).copied().unwrap_or_default() & 0x3f),
    };
    frame * frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    fn page(packets: &[&[u8]], granule: u64) -> Vec<u8> {
        let mut page = CAPTURE.to_vec();
        page.extend_from_slice(&[0; 2]);
        page.extend_from_slice(&granule.to_le_bytes());
        page.extend_from_slice(&[0; 12]);
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push(u8::try_from(packet.len() % 255).unwrap());
        }
        page.push(u8::try_from(lacing.len()).unwrap());
        page.extend(lacing);
        page.extend(packets.concat());
        page
    }

    fn all(parser: &mut OggParser) -> Result<Vec<OggItem>, OggError> {
        std::iter::from_fn(|| parser.next().transpose()).collect()
    }

    #[test]
    fn packets_come_out_with_their_length_in_time() {
        let long = [&[0xfc_u8][..], &[1; 299]].concat();
        let bytes = [page(&[HEAD], 0), page(&[b"OpusTags"], 0), page(&[&[0xfc, 0xff, 0xfe], &long], 48_312)].concat();
        let mut parser = OggParser::default();
        let mut items = Vec::new();
        for byte in bytes {
            parser.push(&[byte]);
            items.extend(all(&mut parser).unwrap());
        }
        assert_eq!(items[0], OggItem::Head { channels: 2, pre_skip: 312 });
        assert_eq!(items[1], OggItem::Packet { data: Bytes::from_static(&[0xfc, 0xff, 0xfe]), samples: 960, end: 960 });
        assert_eq!(items[2], OggItem::Packet { data: long.into(), samples: 960, end: 48_000 });
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn lengths_of_all_modes() {
        assert_eq!(samples(&[0x00]), 480); // SILK, 10 ms
        assert_eq!(samples(&[3 << 3]), 2880); // SILK, 60 ms
        assert_eq!(samples(&[13 << 3]), 960); // hybrid, 20 ms
        assert_eq!(samples(&[16 << 3]), 120); // CELT, 2.5 ms
        assert_eq!(samples(&[(31 << 3) | 1]), 1920); // CELT, two of 20 ms
        assert_eq!(samples(&[(31 << 3) | 3, 3]), 2880); // CELT, three of 20 ms
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = OggParser::default();
            if head {
                parser.push(&page(&[HEAD], 0));
                parser.push(&page(&[b"OpusTags", &bytes], 0));
            }
            parser.push(&bytes);
            let _ = all(&mut parser);
        }
    }
}
