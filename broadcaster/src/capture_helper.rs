//! The second process of the same binary in which `scap` captures the screen: what it does to a process (it panics where others
//! return errors, queues frames without a bound, and waits for ever on a still screen) ends with that process.
//!
//! It writes frames to its standard output, each behind a `FrameHeader`, the newest each time and older ones left out when the reader
//! is slow, and ends when its standard input is closed, which the system does when the broadcaster is gone.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use scap::{
    capturer::{Capturer, Options},
    frame::{Frame, FrameType},
};

use crate::sources::colours::{Pixels, convert};

/// The first argument that makes a process a capture helper; the second is the most frames per second.
pub(crate) const ARGUMENT: &str = "--run-as-capture-helper";

/// How the bytes of a frame are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelFormat {
    Bgrx,
    Rgbx,
    Xbgr,
    Rgb,
    /// Three planes, two of them of a quarter of the size; BT.709, limited range. Width and height are even.
    Yuv420p,
}

impl PixelFormat {
    const ALL: [Self; 5] = [Self::Bgrx, Self::Rgbx, Self::Xbgr, Self::Rgb, Self::Yuv420p];

    /// ffmpeg's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bgrx => "bgr0",
            Self::Rgbx => "rgb0",
            Self::Xbgr => "0bgr",
            Self::Rgb => "rgb24",
            Self::Yuv420p => "yuv420p",
        }
    }

    const fn bytes_of(self, pixels: usize) -> usize {
        match self {
            Self::Yuv420p => pixels + pixels / 2,
            Self::Rgb => 3 * pixels,
            _ => 4 * pixels,
        }
    }
}

/// What precedes the pixels of a frame: `DSFR`, format, width and height, 4 bytes each, big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) format: PixelFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl FrameHeader {
    /// Bytes of a header.
    pub(crate) const BYTES: usize = 16;

    const MAGIC: [u8; 4] = *b"DSFR";

    /// Widest and highest screen that is believed: 16K.
    const PIXELS_MAX: u32 = 16_384;

    /// Bytes of the pixels behind it.
    pub(crate) const fn frame_bytes(&self) -> usize {
        self.format.bytes_of(self.width as usize * self.height as usize)
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&Self::MAGIC);
        bytes[7] = match self.format {
            PixelFormat::Bgrx => 0,
            PixelFormat::Rgbx => 1,
            PixelFormat::Xbgr => 2,
            PixelFormat::Rgb => 3,
            PixelFormat::Yuv420p => 4,
        };
        bytes[8..12].copy_from_slice(&self.width.to_be_bytes());
        bytes[12..].copy_from_slice(&self.height.to_be_bytes());
        bytes
    }

    /// The header in these bytes; `None` when they are none.
    pub(crate) fn decode(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [m0, m1, m2, m3, 0, 0, 0, format, w0, w1, w2, w3, h0, h1, h2, h3] = bytes else { return None };
        let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let believed = 1..=Self::PIXELS_MAX;
        if [m0, m1, m2, m3] != Self::MAGIC || !believed.contains(&width) || !believed.contains(&height) {
            return None;
        }
        Some(Self { format: *PixelFormat::ALL.get(usize::from(format))?, width, height })
    }
}

/// Becomes the capture helper, and does not return, when this process was started as one. Call it first in every `main`.
pub fn run_if_asked() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(ARGUMENT) {
        let frame_rate = arguments.next().and_then(|rate| rate.parse().ok()).unwrap_or(30);
        std::thread::spawn(end_with_stdin);
        capture(frame_rate);
        std::process::exit(0);
    }
}

fn end_with_stdin() {
    let mut byte = [0];
    while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
    std::process::exit(0);
}

/// The newest frame that has not been written.
#[derive(Default)]
struct Newest {
    frame: Mutex<Option<(FrameHeader, Vec<u8>)>>,
    came: Condvar,
}

fn capture(frame_rate: u32) {
    if !scap::is_supported() {
        return eprintln!("this system cannot capture the screen");
    }
    if !scap::has_permission() && !scap::request_permission() {
        return eprintln!("permission to capture the screen was not given");
    }
    let output_type = if cfg!(target_os = "linux") { FrameType::BGR0 } else { FrameType::BGRAFrame };
    let options = Options { fps: frame_rate, show_cursor: true, output_type, ..Options::default() };
    let mut capturer = match Capturer::build(options) {
        Ok(capturer) => capturer,
        Err(error) => return eprintln!("{error}"),
    };
    let newest = Arc::new(Newest::default());
    let writer = Arc::clone(&newest);
    std::thread::spawn(move || writer.write());
    capturer.start_capture();
    while let Ok(frame) = capturer.get_next_frame() {
        if let Some(frame) = pixels(frame) {
            *newest.frame.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
            newest.came.notify_one();
        }
    }
}

impl Newest {
    /// Writes what is new for as long as somebody reads.
    fn write(&self) {
        let mut stdout = std::io::stdout().lock();
        let mut written = None;
        loop {
            let frame = in_encoders_colours(self.take());
            if written.as_ref() == Some(&frame) {
                continue;
            }
            let (header, pixels) = &frame;
            let outcome = stdout.write_all(&header.encode()).and_then(|()| stdout.write_all(pixels));
            if outcome.and_then(|()| stdout.flush()).is_err() {
                std::process::exit(0);
            }
            written = Some(frame);
        }
    }

    fn take(&self) -> (FrameHeader, Vec<u8>) {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match frame.take() {
                Some(frame) => return frame,
                None => frame = self.came.wait(frame).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The even part of a frame in the form that encoders take: less than half the bytes to be handed on. Formats that are rarely seen are
/// left to ffmpeg.
fn in_encoders_colours((header, pixels): (FrameHeader, Vec<u8>)) -> (FrameHeader, Vec<u8>) {
    let (width, height) = (header.width & !1, header.height & !1);
    let converted = FrameHeader { format: PixelFormat::Yuv420p, width, height };
    let stride = header.frame_bytes() / header.height as usize;
    let mut planes = vec![0; converted.frame_bytes()];
    let (y, colours) = planes.split_at_mut(width as usize * height as usize);
    let (u, v) = colours.split_at_mut(colours.len() / 2);
    let source = u32::try_from(stride).map(|stride| Pixels { format: header.format, bytes: &pixels, stride });
    match source.map(|source| convert(source, (width, height), [y, u, v])) {
        Ok(Ok(true)) => (converted, planes),
        _ => (header, pixels),
    }
}

/// Header and pixels of a frame. What is longer than its size says (a buffer's end) is cut off, what is shorter is no frame.
fn pixels(frame: Frame) -> Option<(FrameHeader, Vec<u8>)> {
    let (format, width, height, mut data) = match frame {
        Frame::BGRx(frame) => (PixelFormat::Bgrx, frame.width, frame.height, frame.data),
        Frame::BGRA(frame) => (PixelFormat::Bgrx, frame.width, frame.height, frame.data),
        Frame::BGR0(frame) => (PixelFormat::Bgrx, frame.width, frame.height, frame.data),
        Frame::RGBx(frame) => (PixelFormat::Rgbx, frame.width, frame.height, frame.data),
        Frame::XBGR(frame) => (PixelFormat::Xbgr, frame.width, frame.height, frame.data),
        Frame::RGB(frame) => (PixelFormat::Rgb, frame.width, frame.height, frame.data),
        Frame::YUVFrame(_) => return None,
    };
    let header = FrameHeader { format, width: width.try_into().ok()?, height: height.try_into().ok()? };
    if header.frame_bytes() == 0 || data.len() < header.frame_bytes() {
        return None;
    }
    data.truncate(header.frame_bytes());
    Some((header, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_reads_back() {
        for format in PixelFormat::ALL {
            let header = FrameHeader { format, width: 2560, height: 1441 };
            assert_eq!(FrameHeader::decode(header.encode()), Some(header));
        }
    }

    #[test]
    fn odd_edge_of_a_frame_is_left_out() {
        for (format, name) in [(PixelFormat::Bgrx, PixelFormat::Yuv420p), (PixelFormat::Xbgr, PixelFormat::Xbgr)] {
            let header = FrameHeader { format, width: 101, height: 33 };
            let (converted, pixels) = in_encoders_colours((header, vec![255; header.frame_bytes()]));
            assert_eq!(pixels.len(), converted.frame_bytes());
            assert_eq!(converted.format, name);
            if converted.format == PixelFormat::Yuv420p {
                assert_eq!((converted.width, converted.height, pixels[0]), (100, 32, 235));
            }
        }
    }

    proptest! {
        #[test]
        fn frames_of_unbelievable_size_are_refused(bytes: [u8; 16]) {
            if let Some(header) = FrameHeader::decode(bytes) {
                prop_assert!(header.frame_bytes() <= 16_384 * 16_384 * 4);
            }
        }
    }
}
