//! Numbers, times, wraps and seals the samples of all tracks of one broadcast. Each message is sealed once, where it is made: one
//! that is sent again on another connection, or left out, is the same bytes.
//!
//! A smaller picture has its key frames where the picture has them, and its segments there have the same numbers: viewers change from
//! one to the other between two segments.
//!
//! The picture cuts the segments: each of its key frames begins one, and the next sound packet begins the sound's segment of the
//! same number, so that a late joiner gets sound for as far back as picture. Without a picture the sound cuts every
//! [`KEY_FRAME_INTERVAL`].

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::{
    MediaHeader, MediaKind, TrackInfo, TrackKind, TrackNumber,
    limits::KEY_FRAME_INTERVAL,
    seal::{SealError, Sealer},
};
use thiserror::Error;

use super::{
    cmaf::{self, CmafError, Sample},
    ogg::SAMPLE_RATE,
    timeline::TrackTime,
};

/// The picture's track.
pub(crate) const PICTURE_TRACK: TrackNumber = TrackNumber(1);

/// The sound's track.
pub(crate) const SOUND_TRACK: TrackNumber = TrackNumber(2);

/// The smaller picture's track.
pub(crate) const SMALL_PICTURE_TRACK: TrackNumber = TrackNumber(3);

/// Segments whose beginning is remembered: the smaller picture is a few frames behind at most.
const BEGINNINGS_MAX: usize = 4;

/// One of the pictures of a broadcast, all of the same frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rendition {
    /// The one that cuts the segments.
    Full,
    /// A smaller one.
    Small,
}

/// What can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PackageError {
    /// It can't be written as CMAF.
    #[error(transparent)]
    Cmaf(#[from] CmafError),
    /// It can't be sealed: the stream must end.
    #[error(transparent)]
    Seal(#[from] SealError),
}

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
    /// When the newest segments began, by this machine's clock, and their numbers.
    beginnings: VecDeque<(u64, u32)>,
    picture: Option<Track>,
    small_picture: Option<Track>,
    sound: Option<Track>,
    has_picture: bool,
    origin_us: u64,
    sound_cut_us: u64,
    sealer: Option<Sealer>,
}

#[derive(Debug)]
struct Track {
    info: TrackInfo,
    /// The init segment, and the message that carries it.
    init: Bytes,
    init_message: Bytes,
    init_captured_at_us: u64,
    time: TrackTime,
    sequence: u32,
    segment: Option<u32>,
    chunk: u32,
}

impl Packager {
    /// A broadcast that began at `origin_us` (microseconds since the Unix epoch by this machine's clock), end-to-end encrypted
    /// where there is a sealer.
    pub(crate) const fn new(origin_us: u64, has_picture: bool, sealer: Option<Sealer>) -> Self {
        Self {
            segment: 0,
            beginnings: VecDeque::new(),
            picture: None,
            small_picture: None,
            sound: None,
            has_picture,
            origin_us,
            sound_cut_us: 0,
            sealer,
        }
    }

    /// A picture's encoder tells its configuration: at the beginning, and again whenever it changes. `now_us` is the directory's
    /// time.
    pub(crate) fn picture_config(
        &mut self,
        rendition: Rendition,
        config: &[u8],
        (width, height): (u32, u32),
        frame_rate: f32,
        now_us: u64,
    ) -> Result<(), PackageError> {
        let (slot, track) = match rendition {
            Rendition::Full => (&mut self.picture, PICTURE_TRACK),
            Rendition::Small => (&mut self.small_picture, SMALL_PICTURE_TRACK),
        };
        let init = cmaf::picture_init(track.0.into(), config, width, height)?;
        let (codec, kind) = (cmaf::avc_codec(config)?, TrackKind::Video);
        let info = TrackInfo { track, kind, codec, width, height, frame_rate, sample_rate: 0, channels: 0 };
        Track::configure(slot, info, init, self.origin_us, now_us, &mut self.sealer)
    }

    /// The sound's encoder tells its configuration.
    pub(crate) fn sound_config(&mut self, channels: u8, pre_skip: u16, now_us: u64) -> Result<(), PackageError> {
        let init = cmaf::sound_init(SOUND_TRACK.0.into(), channels, pre_skip)?;
        let (track, kind, codec) = (SOUND_TRACK, TrackKind::Sound, "opus".to_owned());
        let (sample_rate, channels) = (SAMPLE_RATE, channels.into());
        let info = TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate, channels };
        Track::configure(&mut self.sound, info, init, self.origin_us, now_us, &mut self.sealer)
    }

    /// The tracks whose configuration is known, the picture before the smaller one.
    pub(crate) fn tracks(&self) -> Vec<TrackInfo> {
        self.picture.iter().chain(&self.sound).chain(&self.small_picture).map(|track| track.info.clone()).collect()
    }

    /// One encoded frame; `None` before the configuration and the first key frame.
    pub(crate) fn picture(
        &mut self,
        data: &[u8],
        key: bool,
        captured: Captured,
        duration_us: u32,
    ) -> Result<Option<OutgoingChunk>, PackageError> {
        let Some(track) = &mut self.picture else { return Ok(None) };
        if track.segment.is_none() && !key {
            return Ok(None);
        }
        if key {
            self.segment += 1;
            if self.beginnings.len() == BEGINNINGS_MAX {
                self.beginnings.pop_front();
            }
            self.beginnings.push_back((captured.local_us, self.segment));
        }
        track.chunk(data, key, key, self.segment, captured, duration_us, &mut self.sealer).map(Some)
    }

    /// One encoded frame of the smaller picture, given after the picture's frame of the same moment; `None` before its configuration,
    /// and before its key frame where a segment of the picture begins. A key frame anywhere else begins nothing.
    pub(crate) fn small_picture(
        &mut self,
        data: &[u8],
        key: bool,
        captured: Captured,
        duration_us: u32,
    ) -> Result<Option<OutgoingChunk>, PackageError> {
        let Some(track) = &mut self.small_picture else { return Ok(None) };
        let begun = self.beginnings.iter().find(|(at_us, _)| key && *at_us == captured.local_us);
        match (begun, track.segment) {
            (Some(&(_, segment)), known) if known.is_none_or(|known| known < segment) => {
                track.chunk(data, true, false, segment, captured, duration_us, &mut self.sealer).map(Some)
            }
            (_, Some(segment)) => {
                track.chunk(data, false, false, segment, captured, duration_us, &mut self.sealer).map(Some)
            }
            (_, None) => Ok(None),
        }
    }

    /// One Opus packet; `None` before the configuration and the picture's first key frame.
    pub(crate) fn sound(
        &mut self,
        data: &[u8],
        captured: Captured,
        duration_us: u32,
    ) -> Result<Option<OutgoingChunk>, PackageError> {
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
        track.chunk(data, key, cut, self.segment, captured, duration_us, &mut self.sealer).map(Some)
    }
}

impl Track {
    /// Takes a configuration. The one that is known already changes nothing: its message stays the same, to be told apart by its
    /// bytes.
    fn configure(
        slot: &mut Option<Self>,
        info: TrackInfo,
        init: Bytes,
        origin_us: u64,
        now_us: u64,
        sealer: &mut Option<Sealer>,
    ) -> Result<(), PackageError> {
        if let Some(track) = slot
            && track.init == init
        {
            track.info = info;
            return Ok(());
        }
        // Viewers of a sealed stream take a newer init segment for an older one, should the clock have been set back.
        let captured_at_us = slot.as_ref().map_or(now_us, |track| now_us.max(track.init_captured_at_us + 1));
        let (kind, track) = (MediaKind::Init, info.track);
        let header = MediaHeader { kind, key: false, sealed: false, track, segment: 0, chunk: 0, captured_at_us };
        let init_message = message(header, &init, sealer)?;
        match slot {
            Some(track) => {
                (track.info, track.init) = (info, init);
                (track.init_message, track.init_captured_at_us) = (init_message, captured_at_us);
            }
            none => {
                *none = Some(Self {
                    info,
                    init,
                    init_message,
                    init_captured_at_us: captured_at_us,
                    time: TrackTime::new(origin_us),
                    sequence: 0,
                    segment: None,
                    chunk: 0,
                });
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "each is one fact about one sample")]
    fn chunk(
        &mut self,
        data: &[u8],
        key: bool,
        cut: bool,
        segment: u32,
        captured: Captured,
        duration_us: u32,
        sealer: &mut Option<Sealer>,
    ) -> Result<OutgoingChunk, PackageError> {
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
        Ok(OutgoingChunk {
            message: message(header, &sample.chunk()?, sealer)?,
            init: self.init_message.clone(),
            track,
            segment: header.segment,
            cut,
            time_us,
        })
    }
}

fn message(header: MediaHeader, payload: &[u8], sealer: &mut Option<Sealer>) -> Result<Bytes, SealError> {
    Ok(match sealer {
        Some(sealer) => sealer.seal(header, payload)?.into(),
        None => header.message(payload).into(),
    })
}
