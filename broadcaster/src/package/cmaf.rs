//! CMAF (ISO/IEC 23000-19): one init segment per track and one `moof`+`mdat` per frame or sound packet.
//!
//! Every track counts time in microseconds: capture times need no rounding and picture and sound share one origin.

use bytes::Bytes;
use mp4_atom::{
    Atom as _, Audio, Avc1, Avcc, Codec, Dinf, Dops, Dref, DrefEntry, Encode as _, FixedPoint, FourCC, Ftyp, Hdlr,
    Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, Opus, Smhd, Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun,
    TrunEntry, TrunSamples, Visual, Vmhd,
};
use thiserror::Error;

use super::ogg::SAMPLE_RATE;

/// Units of time per second, in every track.
pub(crate) const TIMESCALE: u32 = 1_000_000;

/// A sample that others do not depend on and that depends on none (ISO/IEC 14496-12 8.8.3.1).
const FLAGS_KEY: u32 = 0x0200_0000;

/// A sample that depends on others and is no place to begin.
const FLAGS_DELTA: u32 = 0x0101_0000;

const MDAT_HEADER_BYTES: u32 = 8;

/// What can't be written as CMAF.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CmafError {
    /// The encoder's configuration record can't be read.
    #[error("the encoder's configuration can't be read")]
    Config,
    /// A picture too large for the format.
    #[error("a picture of {0}x{1} is too large")]
    Size(u32, u32),
    /// A frame too large for the format.
    #[error("a frame is too large")]
    Frame,
}

/// The codec string (RFC 6381) of H.264 with this configuration record.
pub(crate) fn avc_codec(config: &[u8]) -> Result<String, CmafError> {
    match config {
        [1, profile, compatibility, level, ..] => Ok(format!("avc1.{profile:02X}{compatibility:02X}{level:02X}")),
        _ => Err(CmafError::Config),
    }
}

/// The init segment of a picture track.
pub(crate) fn picture_init(track: u32, config: &[u8], width: u32, height: u32) -> Result<Bytes, CmafError> {
    let avcc = Avcc::decode_body(&mut &*config).map_err(|_| CmafError::Config)?;
    let (Ok(w), Ok(h)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(CmafError::Size(width, height));
    };
    let visual = Visual { width: w, height: h, ..Visual::default() };
    let codec = Codec::Avc1(Avc1 { visual, avcc, ..Avc1::default() });
    let media = Media { handler: *b"vide", vmhd: Some(Vmhd::default()), smhd: None, codec };
    let tkhd = Tkhd { width: FixedPoint::new(w, 0), height: FixedPoint::new(h, 0), ..Tkhd::default() };
    init(track, tkhd, media)
}

/// The init segment of an Opus track.
pub(crate) fn sound_init(track: u32, channels: u8, pre_skip: u16) -> Result<Bytes, CmafError> {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        sample_rate: FixedPoint::new(48_000, 0),
    };
    let dops = Dops {
        output_channel_count: channels,
        pre_skip,
        input_sample_rate: SAMPLE_RATE,
        output_gain: 0,
        channel_mapping: None,
    };
    let codec = Codec::Opus(Opus { audio, dops, btrt: None });
    let media = Media { handler: *b"soun", vmhd: None, smhd: Some(Smhd::default()), codec };
    init(track, Tkhd { volume: FixedPoint::new(1, 0), ..Tkhd::default() }, media)
}

/// What differs between pictures and sound.
struct Media {
    handler: [u8; 4],
    vmhd: Option<Vmhd>,
    smhd: Option<Smhd>,
    codec: Codec,
}

fn init(track: u32, tkhd: Tkhd, media: Media) -> Result<Bytes, CmafError> {
    let url = mp4_atom::Url { location: String::new() };
    let minf = Minf {
        vmhd: media.vmhd,
        smhd: media.smhd,
        dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(url)] } },
        stbl: Stbl { stsd: Stsd { codecs: vec![media.codec] }, ..Stbl::default() },
        ..Minf::default()
    };
    let mdia = Mdia {
        mdhd: Mdhd { timescale: TIMESCALE, language: "und".to_owned(), ..Mdhd::default() },
        hdlr: Hdlr { handler: FourCC::new(&media.handler), name: String::new() },
        minf,
    };
    let trex = Trex { track_id: track, default_sample_description_index: 1, ..Trex::default() };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: TIMESCALE,
            rate: FixedPoint::new(1, 0),
            volume: FixedPoint::new(1, 0),
            next_track_id: track + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        trak: vec![Trak {
            tkhd: Tkhd { track_id: track, enabled: true, in_movie: true, ..tkhd },
            mdia,
            ..Trak::default()
        }],
        ..Moov::default()
    };
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc"), FourCC::new(b"mp41")],
    };
    let mut bytes = Vec::new();
    ftyp.encode(&mut bytes).map_err(|_| CmafError::Config)?;
    moov.encode(&mut bytes).map_err(|_| CmafError::Config)?;
    Ok(bytes.into())
}

/// One frame or sound packet, before its boxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    /// The track's number in the init segment.
    pub(crate) track: u32,
    /// Counts the track's chunks.
    pub(crate) sequence: u32,
    /// When it is shown or heard, in microseconds since the session began.
    pub(crate) time_us: u64,
    /// How long, in microseconds.
    pub(crate) duration_us: u32,
    /// Whether decoding can begin here.
    pub(crate) key: bool,
    /// The encoded bytes.
    pub(crate) data: &'a [u8],
}

impl Sample<'_> {
    /// Its chunk: `moof` and `mdat`.
    pub(crate) fn chunk(&self) -> Result<Bytes, CmafError> {
        let size = u32::try_from(self.data.len()).map_err(|_| CmafError::Frame)?;
        let mdat_bytes = size.checked_add(MDAT_HEADER_BYTES).ok_or(CmafError::Frame)?;
        let mut bytes = Vec::with_capacity(128 + self.data.len());
        self.moof(size, 0).encode(&mut bytes).map_err(|_| CmafError::Frame)?;
        let offset = i32::try_from(bytes.len() + MDAT_HEADER_BYTES as usize).map_err(|_| CmafError::Frame)?;
        bytes.clear();
        self.moof(size, offset).encode(&mut bytes).map_err(|_| CmafError::Frame)?;
        bytes.extend_from_slice(&mdat_bytes.to_be_bytes());
        bytes.extend_from_slice(b"mdat");
        bytes.extend_from_slice(self.data);
        Ok(bytes.into())
    }

    fn moof(&self, size: u32, data_offset: i32) -> Moof {
        let flags = if self.key { FLAGS_KEY } else { FLAGS_DELTA };
        let entry = TrunEntry { duration: Some(self.duration_us), size: Some(size), flags: None, cts: None };
        Moof {
            mfhd: Mfhd { sequence_number: self.sequence },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id: self.track,
                    default_sample_flags: Some(flags),
                    default_base_is_moof: true,
                    ..Tfhd::default()
                },
                tfdt: Some(Tfdt { base_media_decode_time: self.time_us }),
                trun: vec![Trun { data_offset: Some(data_offset), samples: TrunSamples::Explicit(vec![entry]) }],
                ..Traf::default()
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Any, Decode as _, ReadFrom as _};
    use proptest::prelude::*;

    /// A real record of libx264, 1280x720, main profile.
    const CONFIG: &[u8] =
        &[1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x4d, 0x40, 0x1f, 1, 0, 4, 0x68, 0xef, 0x3c, 0x80];

    fn boxes(mut bytes: &[u8]) -> Vec<Any> {
        let mut boxes = Vec::new();
        while !bytes.is_empty() {
            boxes.push(Any::read_from(&mut bytes).unwrap());
        }
        boxes
    }

    #[test]
    fn codec_string_is_profile_and_level() {
        assert_eq!(avc_codec(CONFIG).unwrap(), "avc1.4D401F");
        assert_eq!(avc_codec(&[]), Err(CmafError::Config));
    }

    #[test]
    fn init_segments_read_back() {
        let init = picture_init(1, CONFIG, 1280, 720).unwrap();
        let [Any::Ftyp(_), Any::Moov(moov)] = &boxes(&init)[..] else { panic!("ftyp and moov") };
        assert_eq!(moov.trak[0].mdia.mdhd.timescale, TIMESCALE);
        assert!(matches!(&moov.trak[0].mdia.minf.stbl.stsd.codecs[0], Codec::Avc1(avc1) if avc1.visual.width == 1280));
        assert_eq!(picture_init(1, CONFIG, 70_000, 720), Err(CmafError::Size(70_000, 720)));
        assert_eq!(picture_init(1, &CONFIG[..9], 1280, 720), Err(CmafError::Config));

        let init = sound_init(2, 2, 312).unwrap();
        let [Any::Ftyp(_), Any::Moov(moov)] = &boxes(&init)[..] else { panic!("ftyp and moov") };
        assert!(matches!(&moov.trak[0].mdia.minf.stbl.stsd.codecs[0], Codec::Opus(opus) if opus.dops.pre_skip == 312));
    }

    #[test]
    fn sync_flags_say_where_decoding_can_begin() {
        for (key, flags) in [(true, FLAGS_KEY), (false, FLAGS_DELTA)] {
            let sample = Sample { track: 1, sequence: 1, time_us: 0, duration_us: 33_333, key, data: b"x" };
            let chunk = sample.chunk().unwrap();
            let moof = Moof::decode(&mut &chunk[..]).unwrap();
            assert_eq!(moof.traf[0].tfhd.default_sample_flags, Some(flags));
        }
    }

    proptest! {
        #[test]
        fn chunk_reads_back(sequence: u32, time_us: u64, duration_us: u32, key: bool,
                            data in proptest::collection::vec(any::<u8>(), 1..400)) {
            let chunk = Sample { track: 7, sequence, time_us, duration_us, key, data: &data }.chunk().unwrap();
            let moof = Moof::decode(&mut &chunk[..]).unwrap();
            let traf = &moof.traf[0];
            prop_assert_eq!(moof.mfhd.sequence_number, sequence);
            prop_assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, time_us);
            let entry = traf.trun[0].samples.get(0).unwrap();
            prop_assert_eq!((entry.duration, entry.size), (Some(duration_us), Some(u32::try_from(data.len()).unwrap())));
            let offset = usize::try_from(traf.trun[0].data_offset.unwrap()).unwrap();
            prop_assert_eq!(&chunk[offset..], &data[..]);
        }

        #[test]
        fn no_config_makes_it_panic(config in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = picture_init(1, &config, 640, 360);
        }
    }
}
