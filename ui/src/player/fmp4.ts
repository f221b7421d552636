// Just enough of ISO/IEC 14496-12 to place a chunk in time, and to change the duration that its last sample declares. Reads any
// bytes without throwing; what it does not understand is null. It never looks at the samples.

/** What an init segment says about its one track. */
export interface InitFacts {
  trackId: number;
  /** Units per second of the track's times. */
  timescale: number;
  /** Duration of samples that declare none, in units; 0 when unknown. */
  defaultDuration: number;
}

/** When the samples of a chunk are shown, in units of the track's timescale. */
export interface ChunkTimes {
  trackId: number;
  /** Decode time of the first sample (`tfdt`). */
  decodeTime: number;
  /** Presentation time of the first sample. */
  firstTime: number;
  /** Presentation time of the last sample. */
  lastTime: number;
  /** Declared end of the last sample. */
  endTime: number;
  samples: number;
}

const TFHD_BASE_DATA_OFFSET = 0x01;
const TFHD_DESCRIPTION_INDEX = 0x02;
const TFHD_DURATION = 0x08;
const TRUN_DATA_OFFSET = 0x01;
const TRUN_FIRST_FLAGS = 0x04;
const TRUN_DURATION = 0x100;
const TRUN_SIZE = 0x200;
const TRUN_FLAGS = 0x400;
const TRUN_COMPOSITION = 0x800;
/** More samples than any chunk has: a `trun` that claims more is broken. */
const SAMPLES_MAX = 100_000;

interface Box {
  start: number;
  /** First byte after the box header. */
  body: number;
  end: number;
}

interface Run {
  moof: Box;
  traf: Box;
  tfhd: Box;
  trun: Box;
  trackId: number;
  decodeTime: number;
  /** Where `tfhd` holds the default duration, when it does, and where it would. */
  tfhdDurationAt: number | null;
  tfhdRoomAt: number;
  samples: number;
  /** Where `trun` holds the data offset, when it does. */
  dataOffsetAt: number | null;
  /** Whether data offsets count from the `moof`, as they do unless `tfhd` gives another base. */
  fromMoof: boolean;
  /** First sample entry, and bytes of each. */
  entries: number;
  entryBytes: number;
  flags: number;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads `moov/trak` and `moov/mvex/trex` of an init segment with one track. */
export function readInit(bytes: Uint8Array): InitFacts | null {
  const view = viewOf(bytes);
  const moov = find(view, 0, bytes.length, "moov");
  const trak = moov && find(view, moov.body, moov.end, "trak");
  if (!moov || !trak) return null;
  const tkhd = find(view, trak.body, trak.end, "tkhd");
  const mdia = find(view, trak.body, trak.end, "mdia");
  const mdhd = mdia && find(view, mdia.body, mdia.end, "mdhd");
  if (!tkhd || !mdhd) return null;
  const trackId = u32(view, tkhd.body + (u8(view, tkhd.body) === 1 ? 20 : 12), tkhd.end);
  const timescale = u32(view, mdhd.body + (u8(view, mdhd.body) === 1 ? 20 : 12), mdhd.end);
  if (trackId === null || timescale === null || timescale === 0) return null;
  const mvex = find(view, moov.body, moov.end, "mvex");
  const trex = mvex && find(view, mvex.body, mvex.end, "trex");
  const defaultDuration = trex ? (u32(view, trex.body + 12, trex.end) ?? 0) : 0;
  return { trackId, timescale, defaultDuration };
}

/** Reads the times of a chunk with one `moof`, one `traf` and one `trun`. */
export function readChunkTimes(bytes: Uint8Array, init: InitFacts): ChunkTimes | null {
  const view = viewOf(bytes);
  const run = readRun(view);
  if (!run) return null;
  const fallback = run.tfhdDurationAt === null ? init.defaultDuration : view.getUint32(run.tfhdDurationAt);
  let beforeLast = 0;
  let last = fallback;
  if (run.flags & TRUN_DURATION) {
    for (let i = 0; i < run.samples - 1; i++) beforeLast += view.getUint32(run.entries + i * run.entryBytes);
    last = view.getUint32(run.entries + (run.samples - 1) * run.entryBytes);
  } else {
    beforeLast = fallback * (run.samples - 1);
  }
  const lastTime = run.decodeTime + beforeLast + compositionOffset(view, run, run.samples - 1);
  return {
    trackId: run.trackId,
    decodeTime: run.decodeTime,
    firstTime: run.decodeTime + compositionOffset(view, run, 0),
    lastTime,
    endTime: lastTime + last,
    samples: run.samples,
  };
}

/** The samples of a chunk, with when each is decoded, in units of the track's timescale. Views into the chunk, not copies; null for
 * a chunk that gives neither sizes nor just one sample. */
export function readSamples(bytes: Uint8Array, init: InitFacts): { time: number; data: Uint8Array }[] | null {
  const view = viewOf(bytes);
  const run = readRun(view);
  if (!run || run.dataOffsetAt === null || !run.fromMoof) return null;
  const sized = (run.flags & TRUN_SIZE) !== 0;
  if (!sized && run.samples !== 1) return null;
  const fallback = run.tfhdDurationAt === null ? init.defaultDuration : view.getUint32(run.tfhdDurationAt);
  const sizeAt = run.flags & TRUN_DURATION ? 4 : 0;
  const samples = [];
  let time = run.decodeTime;
  let at = run.moof.start + view.getInt32(run.dataOffsetAt);
  for (let i = 0; i < run.samples; i++) {
    const entry = run.entries + i * run.entryBytes;
    const end = sized ? at + view.getUint32(entry + sizeAt) : bytes.length;
    if (at < 0 || end > bytes.length) return null;
    samples.push({ time, data: bytes.subarray(at, end) });
    time += run.flags & TRUN_DURATION ? view.getUint32(entry) : fallback;
    at = end;
  }
  return samples;
}

/**
 * The chunk with its last sample declared to last `units`. In place where the bytes have room for it; otherwise a copy that
 * grew by a default duration. Chunks that can't be understood, or whose samples share a default, come back as they are.
 */
export function withLastDuration(bytes: Uint8Array, units: number): Uint8Array {
  const view = viewOf(bytes);
  const run = readRun(view);
  if (!run) return bytes;
  if (run.flags & TRUN_DURATION) {
    view.setUint32(run.entries + (run.samples - 1) * run.entryBytes, units);
    return bytes;
  }
  if (run.samples !== 1) return bytes;
  if (run.tfhdDurationAt !== null) {
    view.setUint32(run.tfhdDurationAt, units);
    return bytes;
  }
  return grown(bytes, run, units);
}

/** Gives the one track of an init segment or a chunk another ID, in place. What can't be understood stays as it is. */
export function renumber(bytes: Uint8Array, trackId: number): void {
  const view = viewOf(bytes);
  const within = (box: Box | null, type: string) => box && find(view, box.body, box.end, type);
  const moov = find(view, 0, bytes.length, "moov");
  const tkhd = within(within(moov, "trak"), "tkhd");
  const trex = within(within(moov, "mvex"), "trex");
  const tfhd = within(within(find(view, 0, bytes.length, "moof"), "traf"), "tfhd");
  const put = (box: Box | null, at: number) =>
    box && box.body + at + 4 <= box.end && view.setUint32(box.body + at, trackId);
  put(tkhd, tkhd && u8(view, tkhd.body) === 1 ? 20 : 12);
  put(trex, 4);
  put(tfhd, 4);
}

function grown(bytes: Uint8Array, run: Run, units: number): Uint8Array {
  const extra = 4;
  const at = run.tfhdRoomAt;
  const copy = new Uint8Array(bytes.length + extra);
  copy.set(bytes.subarray(0, at));
  copy.set(bytes.subarray(at), at + extra);
  const view = viewOf(copy);
  view.setUint32(at, units);
  view.setUint32(run.tfhd.body, view.getUint32(run.tfhd.body) | TFHD_DURATION);
  for (const box of [run.moof, run.traf, run.tfhd]) lengthen(view, box, extra);
  if (run.dataOffsetAt !== null) {
    const dataOffsetAt = run.dataOffsetAt + (run.dataOffsetAt >= at ? extra : 0);
    view.setInt32(dataOffsetAt, view.getInt32(dataOffsetAt) + extra);
  }
  return copy;
}

/** Declares a box to be longer; one that has no size of its own goes to the end anyway. */
function lengthen(view: DataView, box: Box, extra: number): void {
  const size = view.getUint32(box.start);
  if (size === 1) view.setBigUint64(box.start + 8, view.getBigUint64(box.start + 8) + BigInt(extra));
  else if (size !== 0) view.setUint32(box.start, size + extra);
}

function compositionOffset(view: DataView, run: Run, sample: number): number {
  if (!(run.flags & TRUN_COMPOSITION)) return 0;
  // The composition offset is the last field of an entry. Version 0 is unsigned, but writers put signed values there too.
  return view.getInt32(run.entries + (sample + 1) * run.entryBytes - 4);
}

function readRun(view: DataView): Run | null {
  const moof = find(view, 0, view.byteLength, "moof");
  const traf = moof && find(view, moof.body, moof.end, "traf");
  if (!moof || !traf) return null;
  const tfhd = find(view, traf.body, traf.end, "tfhd");
  const tfdt = find(view, traf.body, traf.end, "tfdt");
  const trun = find(view, traf.body, traf.end, "trun");
  if (!tfhd || !tfdt || !trun) return null;

  const tfhdFlags = (u32(view, tfhd.body, tfhd.end) ?? 0) & 0xffffff;
  const trackId = u32(view, tfhd.body + 4, tfhd.end);
  const decodeTime =
    u8(view, tfdt.body) === 1 ? u64(view, tfdt.body + 4, tfdt.end) : u32(view, tfdt.body + 4, tfdt.end);
  const trunFlags = (u32(view, trun.body, trun.end) ?? 0) & 0xffffff;
  const samples = u32(view, trun.body + 4, trun.end);
  if (trackId === null || decodeTime === null || !samples || samples > SAMPLES_MAX) return null;

  let tfhdRoomAt = tfhd.body + 8;
  if (tfhdFlags & TFHD_BASE_DATA_OFFSET) tfhdRoomAt += 8;
  if (tfhdFlags & TFHD_DESCRIPTION_INDEX) tfhdRoomAt += 4;
  const tfhdDurationAt = tfhdFlags & TFHD_DURATION ? tfhdRoomAt : null;
  // It says that it holds more than it does.
  if (tfhdRoomAt + (tfhdDurationAt === null ? 0 : 4) > tfhd.end) return null;
  const dataOffsetAt = trunFlags & TRUN_DATA_OFFSET ? trun.body + 8 : null;
  const entries = trun.body + 8 + (dataOffsetAt === null ? 0 : 4) + (trunFlags & TRUN_FIRST_FLAGS ? 4 : 0);
  const fields = [TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION];
  const entryBytes = fields.reduce((sum, flag) => sum + (trunFlags & flag ? 4 : 0), 0);
  if (entries + samples * entryBytes > trun.end) return null;
  return {
    moof,
    traf,
    tfhd,
    trun,
    trackId,
    decodeTime,
    tfhdDurationAt,
    tfhdRoomAt,
    samples,
    dataOffsetAt,
    fromMoof: (tfhdFlags & TFHD_BASE_DATA_OFFSET) === 0,
    entries,
    entryBytes,
    flags: trunFlags,
  };
}

function find(view: DataView, from: number, to: number, type: string): Box | null {
  let at = from;
  while (at + 8 <= to) {
    let size = view.getUint32(at);
    let header = 8;
    if (size === 1) {
      const large = u64(view, at + 8, to);
      if (large === null) return null;
      size = large;
      header = 16;
    } else if (size === 0) {
      size = to - at;
    }
    if (size < header || at + size > to) return null;
    if (typeAt(view, at + 4) === type) return { start: at, body: at + header, end: at + size };
    at += size;
  }
  return null;
}

const typeAt = (view: DataView, at: number) =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
const u8 = (view: DataView, at: number) => (at < view.byteLength ? view.getUint8(at) : null);
const u32 = (view: DataView, at: number, end: number) => (at + 4 <= end ? view.getUint32(at) : null);
const u64 = (view: DataView, at: number, end: number) =>
  at + 8 <= end ? view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4) : null;
