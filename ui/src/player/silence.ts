// Opus silence as fMP4 chunks. A MediaSource plays only what all its tracks have: where sound does not come, silence keeps the
// picture moving.

/** One 20 ms packet of stereo silence (RFC 6716 3.1: CELT, full band, 20 ms, stereo, one frame). */
const SILENT_PACKET = [0xfc, 0xff, 0xfe];
const PACKET_S = 0.02;
/** No more silence in one chunk: 10 s. */
const PACKETS_MAX = 500;

export interface Silence {
  bytes: Uint8Array;
  /** Where it ends, in seconds. */
  end: number;
}

/** Silence from `from` (seconds) up to at least `to`. */
export function opusSilence(trackId: number, timescale: number, from: number, to: number): Silence {
  const packets = Math.min(PACKETS_MAX, Math.max(1, Math.ceil((to - from) / PACKET_S)));
  const duration = Math.round(PACKET_S * timescale);
  const tfhd = fullBox("tfhd", 0x020038, [...u32(trackId), ...u32(duration), ...u32(SILENT_PACKET.length), ...u32(0)]);
  const tfdt = fullBox("tfdt", 0x01000000, u64(Math.round(from * timescale)));
  // moof, mfhd, traf, then trun with its header, sample count and data offset, then the header of mdat.
  const moofBytes = 8 + 16 + 8 + tfhd.length + tfdt.length + 20;
  const trun = fullBox("trun", 0x000001, [...u32(packets), ...u32(moofBytes + 8)]);
  const moof = box("moof", [...fullBox("mfhd", 0, u32(0)), ...box("traf", [...tfhd, ...tfdt, ...trun])]);
  const mdat = box("mdat", Array.from({ length: packets }, () => SILENT_PACKET).flat());
  return { bytes: new Uint8Array([...moof, ...mdat]), end: from + (packets * duration) / timescale };
}

function u32(value: number): number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

function u64(value: number): number[] {
  return [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];
}

function box(type: string, body: number[]): number[] {
  return [...u32(8 + body.length), ...[...type].map((letter) => letter.charCodeAt(0)), ...body];
}

function fullBox(type: string, versionAndFlags: number, body: number[]): number[] {
  return box(type, [...u32(versionAndFlags), ...body]);
}
