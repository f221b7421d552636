// Writes CMAF (ISO/IEC 23000-19): one init segment per track, then one moof+mdat per sample.
// It is not a general muxer: one sample per chunk is what keeps the delay at one frame.

/** Ticks per second of a picture track: microseconds. */
export const VIDEO_TIMESCALE = 1_000_000;
/** Ticks per second of an Opus track (RFC 7845 4). */
export const SOUND_TIMESCALE = 48_000;

/** A picture track: H.264 with the parameter sets of an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3). */
export interface VideoTrack {
  kind: "video";
  track: number;
  width: number;
  height: number;
  avcConfig: Uint8Array;
}

/** An Opus track. `preSkip` is in samples of 48 kHz. */
export interface SoundTrack {
  kind: "sound";
  track: number;
  channels: number;
  preSkip: number;
}

/** One frame or packet. Times are in ticks of its track. */
export interface Sample {
  track: number;
  /** Counts the chunks of the track from 1. */
  sequence: number;
  decodeTime: number;
  duration: number;
  key: boolean;
  data: Uint8Array;
}

const SAMPLE_IS_KEY = 0x02000000; // sample_depends_on = 2: on nothing
const SAMPLE_IS_NOT_KEY = 0x01010000; // depends on others, is not a sync sample

/** `ftyp` and `moov` of one track. */
export function initSegment(of: VideoTrack | SoundTrack): Uint8Array<ArrayBuffer> {
  const ftyp = box("ftyp", text("iso6"), u32(0), text("iso6"), text("cmfc"), text("mp41"));
  const mvex = box("mvex", fullBox("trex", 0, 0, u32(of.track), u32(1), u32(0), u32(0), u32(0)));
  return concat(ftyp, box("moov", movieHeader(of.track), trackBox(of), mvex));
}

/** `moof` and `mdat` of one sample. */
export function chunk(sample: Sample): Uint8Array<ArrayBuffer> {
  const build = (dataOffset: number) =>
    box(
      "moof",
      fullBox("mfhd", 0, 0, u32(sample.sequence)),
      box(
        "traf",
        fullBox("tfhd", 0, 0x020000, u32(sample.track)), // default-base-is-moof
        fullBox("tfdt", 1, 0, u64(sample.decodeTime)),
        // data offset, then per sample: duration, size, flags
        fullBox(
          "trun",
          0,
          0x000701,
          u32(1),
          u32(dataOffset),
          u32(sample.duration),
          u32(sample.data.byteLength),
          u32(sample.key ? SAMPLE_IS_KEY : SAMPLE_IS_NOT_KEY),
        ),
      ),
    );
  const mdatHeaderBytes = 8;
  const moof = build(build(0).byteLength + mdatHeaderBytes);
  return concat(moof, u32(mdatHeaderBytes + sample.data.byteLength), text("mdat"), sample.data);
}

function trackBox(of: VideoTrack | SoundTrack): Uint8Array {
  const video = of.kind === "video";
  const tkhd = fullBox(
    "tkhd",
    0,
    3, // enabled, in movie
    zeros(8),
    u32(of.track),
    zeros(16),
    u16(0),
    u16(video ? 0 : 1),
    u16(video ? 0 : 0x0100), // volume 8.8
    u16(0),
    MATRIX,
    u32(video ? of.width << 16 : 0),
    u32(video ? of.height << 16 : 0),
  );
  const timescale = video ? VIDEO_TIMESCALE : SOUND_TIMESCALE;
  const mdhd = fullBox("mdhd", 0, 0, zeros(8), u32(timescale), u32(0), u16(UNDETERMINED_LANGUAGE), u16(0));
  const hdlr = fullBox("hdlr", 0, 0, u32(0), text(video ? "vide" : "soun"), zeros(12), zeros(1));
  const header = video ? fullBox("vmhd", 0, 1, zeros(8)) : fullBox("smhd", 0, 0, zeros(4));
  const dinf = box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, 1)));
  const stbl = box(
    "stbl",
    fullBox("stsd", 0, 0, u32(1), video ? avcSampleEntry(of) : opusSampleEntry(of)),
    fullBox("stts", 0, 0, u32(0)),
    fullBox("stsc", 0, 0, u32(0)),
    fullBox("stsz", 0, 0, u32(0), u32(0)),
    fullBox("stco", 0, 0, u32(0)),
  );
  return box("trak", tkhd, box("mdia", mdhd, hdlr, box("minf", header, dinf, stbl)));
}

function movieHeader(track: number): Uint8Array {
  return fullBox(
    "mvhd",
    0,
    0,
    zeros(8),
    u32(1000),
    u32(0), // no duration: a live stream
    u32(0x00010000), // rate 1
    u16(0x0100), // volume 1
    zeros(10),
    MATRIX,
    zeros(24),
    u32(track + 1),
  );
}

function avcSampleEntry(of: VideoTrack): Uint8Array {
  return box(
    "avc1",
    zeros(6),
    u16(1), // data reference
    zeros(16),
    u16(of.width),
    u16(of.height),
    u32(0x00480000), // 72 dpi
    u32(0x00480000),
    u32(0),
    u16(1), // frames per sample
    zeros(32),
    u16(24), // depth
    u16(0xffff),
    box("avcC", of.avcConfig),
    box("pasp", u32(1), u32(1)),
  );
}

/** Opus in ISO base media, 4.3: the sample entry and its `dOps`. */
function opusSampleEntry(of: SoundTrack): Uint8Array {
  const dOps = box("dOps", u8(0), u8(of.channels), u16(of.preSkip), u32(SOUND_TIMESCALE), u16(0), u8(0));
  return box("Opus", zeros(6), u16(1), zeros(8), u16(of.channels), u16(16), u32(0), u32(SOUND_TIMESCALE << 16), dOps);
}

const UNDETERMINED_LANGUAGE = 0x55c4; // "und"
const MATRIX = concat(u32(0x00010000), zeros(12), u32(0x00010000), zeros(12), u32(0x40000000));

function box(name: string, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 8);
  return concat(u32(bytes), text(name), ...parts);
}

function fullBox(name: string, version: number, flags: number, ...parts: Uint8Array[]): Uint8Array {
  return box(name, u32((version << 24) | flags), ...parts);
}

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, (letter) => letter.charCodeAt(0));
}

function zeros(count: number): Uint8Array {
  return new Uint8Array(count);
}
