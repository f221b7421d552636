//! Numbers, times and wraps the samples of all tracks of one broadcast.
//!
//! The picture cuts the segments: each of its key frames begins one, and the next sound packet begins the sound's segment of the
//! same number, so that a late joiner gets sound for as far back as picture. Without a picture the sound cuts every
//! [`KEY_FRAME_INTERVAL`].

use bytes::Bytes;
use protocol::{MediaHeader, MediaKind, TrackInfo, TrackKind, TrackNumber, limits::KEY_FRAME_INTERVAL};

use super::{
    cmaf::{self, CmafError, Sample},
    ogg::SAMPLE_RATE,
    timeline::TrackTime,
};

/// The picture's track.
pub(crate) const PICTURE_TRACK: TrackNumber = TrackNumber(1);

/// The sound's track.
pub(crate) const SOUND_TRACK: TrackNumber = TrackNumber(2);

/// One chunk, ready for the wire.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingChunk {
    /// The message.
    pub(crate) message: Bytes,
    /// The message with the init segment it needs.
    pub(crate) init: Bytes,
    /// Its track.
    pub(crate) track: TrackNumber,
    /// Its segment.
    pub(crate) segment: u32,
    /// Sending may begin here: every track's later chunks need nothing from before.
    pub(crate) cut: bool,
    /// When it was captured, in microseconds since the session began.
    pub(crate) time_us: u64,
}

/// When something was captured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured {
    /// By this machine's clock, in microseconds since the Unix epoch.
    pub(crate) local_us: u64,
    /// By the directory's clock.
    pub(crate) directory_us: u64,
}

/// The tracks of one broadcast.
#[derive(Debug)]
pub(crate) struct Packager {
    segment: u32,
    picture: Option<Track>,
    sound: Option<Track>,
    has_picture: bool,
    origin_us: u64,
    sound_cut_us: u64,
}

#[derive(Debug)]
struct Track {
    info: TrackInfo,
    init: Bytes,
    time: TrackTime,
    sequence: u32,
    segment: Option<u32>,
    chunk: u32,
}

impl Packager {
    /// A broadcast that began at `origin_us` (microseconds since the Unix epoch by this machine's clock).
    pub(crate) const fn new(origin_us: u64, has_picture: bool) -> Self {
        Self { segment: 0, picture: None, sound: None, has_picture, origin_us, sound_cut_us: 0 }
    }

    /// The picture's encoder tells its configuration: at the beginning, and again whenever it changes.
    pub(crate) fn picture_config(
        &mut self,
        config: &[u8],
        (width, height): (u32, u32),
        frame_rate: f32,
    ) -> Result<(), CmafError> {
        let init = cmaf::picture_init(PICTURE_TRACK.0.into(), config, width, height)?;
        let codec = cmaf::avc_codec(config)?;
        let (track, kind) = (PICTURE_TRACK, TrackKind::Video);
        let info = TrackInfo { track, kind, codec, width, height, frame_rate, sample_rate: 0, channels: 0 };
        Track::set(&mut self.picture, info, init, self.origin_us);
        Ok(())
    }

    /// The sound's encoder tells its configuration.
    pub(crate) fn sound_config(&mut self, channels: u8, pre_skip: u16) -> Result<(), CmafError> {
        let init = cmaf::sound_init(SOUND_TRACK.0.into(), channels, pre_skip)?;
        let (track, kind, codec) = (SOUND_TRACK, TrackKind::Sound, "opus".to_owned());
        let (sample_rate, channels) = (SAMPLE_RATE, channels.into());
        let info = TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate, channels };
        Track::set(&mut self.sound, info, init, self.origin_us);
        Ok(())
    }

    /// The tracks whose configuration is known.
    pub(crate) fn tracks(&self) -> Vec<TrackInfo> {
        self.picture.iter().chain(&self.sound).map(|track| track.info.clone()).collect()
    }

    /// One encoded frame; `None` before the configuration and the first key frame.
    pub(crate) fn picture(
        &mut self,
        data: &[u8],
        key: bool,
        captured: Captured,
        duration_us: u32,
    ) -> Result<Option<OutgoingChunk>, CmafError> {
        let Some(track) = &mut self.picture else { return Ok(None) };
        if track.segment.is_none() && !key {
            return Ok(None);
        }
        if key {
            self.segment += 1;
        }
        track.chunk(data, key, key, self.segment, captured, duration_us).map(Some)
    }

    /// One Opus packet; `None` before the configuration and the picture's first key frame.
    pub(crate) fn sound(
        &mut self,
        data: &[u8],
        captured: Captured,
        duration_us: u32,
    ) -> Result<Option<OutgoingChunk>, CmafError> {
        let Some(track) = &mut self.sound else { return Ok(None) };
        let mut cut = false;
        if self.has_picture {
            if self.segment == 0 {
                return Ok(None);
            }
        } else if track.segment.is_none() || captured.local_us >= self.sound_cut_us {
            let interval_us = u64::try_from(KEY_FRAME_INTERVAL.as_micros()).unwrap_or(u64::MAX);
            self.sound_cut_us = captured.local_us.saturating_add(interval_us);
            self.segment += 1;
            cut = true;
        }
        let key = track.segment != Some(self.segment);
        track.chunk(data, key, cut, self.segment, captured, duration_us).map(Some)
    }
}

impl Track {
    fn set(slot: &mut Option<Self>, info: TrackInfo, init: Bytes, origin_us: u64) {
        match slot {
            Some(track) => (track.info, track.init) = (info, init),
            none => {
                let time = TrackTime::new(origin_us);
                *none = Some(Self { info, init, time, sequence: 0, segment: None, chunk: 0 });
            }
        }
    }

    fn chunk(
        &mut self,
        data: &[u8],
        key: bool,
        cut: bool,
        segment: u32,
        captured: Captured,
        duration_us: u32,
    ) -> Result<OutgoingChunk, CmafError> {
        let is_sound = self.info.kind == TrackKind::Sound;
        let time_us = self.time.of(captured.local_us);
        self.sequence = self.sequence.wrapping_add(1);
        if key {
            (self.segment, self.chunk) = (Some(segment), 0);
        }
        let track = self.info.track;
        let sample = Sample {
            track: track.0.into(),
            sequence: self.sequence,
            time_us,
            duration_us,
            key: key || is_sound, // every sound packet can be decoded on its own
            data,
        };
        let header = MediaHeader {
            kind: MediaKind::Chunk,
            key,
            sealed: false,
            track,
            segment: self.segment.unwrap_or(segment),
            chunk: self.chunk,
            captured_at_us: captured.directory_us,
        };
        self.chunk += 1;
        // The init message is the same until the configuration changes, so that it can be told apart by its bytes.
        let init_header =
            MediaHeader { kind: MediaKind::Init, key: false, segment: 0, chunk: 0, captured_at_us: 0, ..header };
        Ok(OutgoingChunk {
            message: message(header, &sample.chunk()?),
            init: message(init_header, &self.init),
            track,
            segment: header.segment,
            cut,
            time_us,
        })
    }
}

fn message(header: MediaHeader, payload: &[u8]) -> Bytes {
    header.message(payload).into()
}
