//! What end-to-end encryption costs: chunks of a made-up stream, sealed and opened one by one.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use protocol::{
    MediaHeader, MediaKind, StreamId, TrackNumber,
    seal::{ContentKey, Opened, Opener, Sealer},
};
use serde::Serialize;

/// Most chunks per second.
const RATE_MAX: u32 = 240;
/// Highest bitrate, in kbit/s.
const BITRATE_KBIT_S_MAX: u32 = 200_000;

/// A stream to measure with: one picture track, one chunk per frame, all of one size.
#[derive(Debug, Clone, Copy)]
pub struct Sealing {
    /// Bits per second, in kbit/s.
    pub bitrate_kbit_s: u32,
    /// Chunks per second.
    pub rate: u32,
    /// Seconds of the stream.
    pub seconds: u32,
    /// Chunks of a segment.
    pub key_interval: u32,
    /// Whether each chunk waits for its time, as in a broadcast, when the processor has done other things in between.
    pub paced: bool,
}

/// One line of figures. Times are those that passed while a chunk was being worked on, by the wall clock: processor time is less.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Bits per second, in kbit/s.
    pub bitrate_kbit_s: u32,
    /// Chunks per second.
    pub rate: u32,
    /// Seconds of the stream.
    pub seconds: u32,
    /// Whether each chunk waited for its time.
    pub paced: bool,
    /// Bytes of a chunk's payload.
    pub chunk_bytes: usize,
    /// Microseconds per chunk to write the message unsealed, which sealing does too.
    pub plain_us: f64,
    /// Microseconds per chunk to write and seal the message.
    pub seal_us: f64,
    /// Microseconds per chunk to open it.
    pub open_us: f64,
    /// What sealing takes of one core, in percent, the writing included.
    pub seal_core_percent: f64,
    /// What opening takes of one core, in percent.
    pub open_core_percent: f64,
}

impl Sealing {
    /// Seals and opens the stream.
    ///
    /// # Errors
    /// When the stream is none, or what was sealed is not opened.
    pub fn measure(&self) -> Result<Cost> {
        ensure!((1..=RATE_MAX).contains(&self.rate), "give 1 to {RATE_MAX} chunks per second");
        ensure!((1..=BITRATE_KBIT_S_MAX).contains(&self.bitrate_kbit_s), "give 1 to {BITRATE_KBIT_S_MAX} kbit/s");
        ensure!(self.seconds > 0 && self.key_interval > 0, "a stream has at least one segment");
        let chunk_bytes = usize::try_from(self.bitrate_kbit_s / 8 * 1000 / self.rate)?;
        let payload: Vec<u8> = (0..chunk_bytes).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
        let stream = StreamId::of(&"measured".parse()?, 1);
        let key = ContentKey::generate()?;
        let (mut sealer, mut opener) = (Sealer::new(key.clone(), stream), Opener::new(key, stream));
        let header = |kind, segment, chunk| MediaHeader {
            kind,
            key: kind == MediaKind::Chunk && chunk == 0,
            sealed: false,
            track: TrackNumber(1),
            segment,
            chunk,
            captured_at_us: 1,
        };
        open(&mut opener, &mut sealer.seal(header(MediaKind::Init, 0, 0), &payload[..chunk_bytes.min(700)])?)?;

        let [mut plain, mut sealing, mut opening] = [Duration::ZERO; 3];
        let (began, frame) = (Instant::now(), Duration::from_secs(1) / self.rate);
        let chunks = self.seconds * self.rate;
        for n in 0..chunks {
            if self.paced {
                thread::sleep((began + frame * n).saturating_duration_since(Instant::now()));
            }
            let header = header(MediaKind::Chunk, n / self.key_interval, n % self.key_interval);
            let at = Instant::now();
            let mut sealed = sealer.seal(header, &payload)?;
            let sealed_at = Instant::now();
            open(&mut opener, &mut sealed)?;
            let opened_at = Instant::now();
            drop(std::hint::black_box(header.message(&payload)));
            plain += opened_at.elapsed();
            sealing += sealed_at - at;
            opening += opened_at - sealed_at;
        }
        let us = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(chunks);
        let percent = |time: Duration| time.as_secs_f64() * 100.0 / f64::from(self.seconds);
        Ok(Cost {
            bitrate_kbit_s: self.bitrate_kbit_s,
            rate: self.rate,
            seconds: self.seconds,
            paced: self.paced,
            chunk_bytes,
            plain_us: us(plain),
            seal_us: us(sealing),
            open_us: us(opening),
            seal_core_percent: percent(sealing),
            open_core_percent: percent(opening),
        })
    }
}

fn open(opener: &mut Opener, message: &mut [u8]) -> Result<()> {
    match opener.open(message)? {
        Opened::Payload(..) => Ok(()),
        Opened::LeftOut => bail!("a chunk was left out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_sealed_and_opened() {
        let sealing = Sealing { bitrate_kbit_s: 6_000, rate: 30, seconds: 2, key_interval: 20, paced: false };
        let cost = sealing.measure().unwrap();
        assert_eq!(cost.chunk_bytes, 25_000);
        assert!(cost.seal_us > 0.0 && cost.seal_core_percent > 0.0);
    }
}
