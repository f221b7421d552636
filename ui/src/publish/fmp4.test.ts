import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chunk, initSegment, SOUND_TIMESCALE, VIDEO_TIMESCALE } from "./fmp4";

/** The boxes of one level: name and bytes. */
function boxes(bytes: Uint8Array): { name: string; body: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const size = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.push({ name, body: bytes.subarray(at + 8, at + size) });
    at += size;
  }
  return found;
}

function body(bytes: Uint8Array, ...path: string[]): Uint8Array {
  return path.reduce((inner, name) => {
    const box = boxes(inner).find((candidate) => candidate.name === name);
    if (!box) throw new Error(`no ${name}`);
    return box.body;
  }, bytes);
}

const u32At = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);

const VIDEO = { kind: "video", track: 1, width: 1280, height: 720, avcConfig: Uint8Array.of(1, 2, 3) } as const;

describe("init segment", () => {
  it("has one track of the given number and size", () => {
    const init = initSegment(VIDEO);
    expect(boxes(init).map((box) => box.name)).toEqual(["ftyp", "moov"]);
    const tkhd = body(init, "moov", "trak", "tkhd");
    expect(u32At(tkhd, 12)).toBe(1);
    expect([u32At(tkhd, tkhd.length - 8) >>> 16, u32At(tkhd, tkhd.length - 4) >>> 16]).toEqual([1280, 720]);
    expect(u32At(body(init, "moov", "trak", "mdia", "mdhd"), 12)).toBe(VIDEO_TIMESCALE);
    expect(u32At(body(init, "moov", "mvex", "trex"), 4)).toBe(1);
  });

  it("carries the parameter sets as they are", () => {
    const stsd = body(initSegment(VIDEO), "moov", "trak", "mdia", "minf", "stbl", "stsd");
    const entry = body(stsd.subarray(8), "avc1").subarray(78);
    expect([...body(entry, "avcC")]).toEqual([1, 2, 3]);
  });

  it("describes Opus at 48 kHz", () => {
    const init = initSegment({ kind: "sound", track: 2, channels: 2, preSkip: 312 });
    const stsd = body(init, "moov", "trak", "mdia", "minf", "stbl", "stsd");
    const dOps = body(body(stsd.subarray(8), "Opus").subarray(28), "dOps");
    expect([...dOps]).toEqual([0, 2, 312 >> 8, 312 & 255, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    expect(u32At(body(init, "moov", "trak", "mdia", "mdhd"), 12)).toBe(SOUND_TIMESCALE);
  });
});

describe("chunk", () => {
  const data = Uint8Array.of(9, 8, 7);
  const sample = { track: 1, sequence: 5, decodeTime: 2 ** 33 + 7, duration: 33_333, key: true, data };

  it("is a moof whose data offset points at the sample", () => {
    const bytes = chunk(sample);
    expect(boxes(bytes).map((box) => box.name)).toEqual(["moof", "mdat"]);
    const trun = body(bytes, "moof", "traf", "trun");
    const offset = u32At(trun, 8);
    expect([...bytes.subarray(offset, offset + 3)]).toEqual([9, 8, 7]);
    expect([u32At(trun, 12), u32At(trun, 16)]).toEqual([33_333, 3]);
  });

  it("has a decode time of 64 bits", () => {
    const tfdt = body(chunk(sample), "moof", "traf", "tfdt");
    expect([tfdt[0], u32At(tfdt, 4), u32At(tfdt, 8)]).toEqual([1, 2, 7]);
  });

  it("says whether it is a sync sample", () => {
    const flags = (key: boolean) => u32At(body(chunk({ ...sample, key }), "moof", "traf", "trun"), 20);
    expect(flags(true) & 0x00010000).toBe(0);
    expect(flags(false) & 0x00010000).toBe(0x00010000);
  });
});

const ffmpeg = (args: string[]) =>
  spawnSync("ffmpeg", ["-hide_banner", "-loglevel", "warning", "-nostdin", ...args], { maxBuffer: 2 ** 26 });
const missing = spawnSync("ffprobe", ["-version"]).error ? "ffmpeg is not installed: its judgement is skipped" : "";

describe.skipIf(missing)(`ffmpeg ${missing}`, () => {
  it("accepts pictures without a warning and counts every frame", () => {
    const { avcConfig, frames } = encodedPictures(25);
    const init = initSegment({ kind: "video", track: 1, width: 320, height: 180, avcConfig });
    const chunks = frames.map(({ key, data }, index) =>
      // Times as a screen gives them: uneven, and far from zero for a late viewer.
      chunk({
        track: 1,
        sequence: index + 1,
        decodeTime: 60_000_000 + index * 40_000 + (index % 3) * 500,
        duration: 33_333,
        key,
        data,
      }),
    );
    expect(judged([init, ...chunks], "v")).toEqual({ frames: 25, codec: "h264", warnings: "" });
  });

  it("accepts Opus without a warning and counts every packet", () => {
    const packets = encodedSound();
    const init = initSegment({ kind: "sound", track: 2, channels: 2, preSkip: 312 });
    const chunks = packets.map((data, index) =>
      chunk({ track: 2, sequence: index + 1, decodeTime: index * 960, duration: 960, key: true, data }),
    );
    expect(judged([init, ...chunks], "a")).toEqual({ frames: packets.length, codec: "opus", warnings: "" });
  });
});

/** What ffprobe counts, and whatever ffmpeg has to say while it decodes everything. */
function judged(parts: Uint8Array[], kind: "v" | "a"): { frames: number; codec: string; warnings: string } {
  const folder = mkdtempSync(join(tmpdir(), "fmp4-"));
  try {
    const file = join(folder, "stream.mp4");
    writeFileSync(file, Buffer.concat(parts));
    const probe = spawnSync("ffprobe", [
      ...["-v", "warning", "-select_streams", kind, "-count_packets"],
      ...["-show_entries", "stream=codec_name,nb_read_packets", "-of", "json", file],
    ]);
    const stream = JSON.parse(probe.stdout.toString()).streams[0];
    const decoded = ffmpeg(["-i", file, "-fps_mode", "passthrough", "-f", "null", "-"]);
    const warnings = probe.stderr.toString() + decoded.stderr.toString();
    return { frames: Number(stream.nb_read_packets), codec: stream.codec_name, warnings };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Real H.264 frames, with lengths before their NAL units as in an `avcC` stream. */
function encodedPictures(count: number): { avcConfig: Uint8Array; frames: { key: boolean; data: Uint8Array }[] } {
  const { stdout, stderr } = ffmpeg([
    ...["-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-frames:v", String(count)],
    ...[
      "-c:v",
      "libx264",
      "-preset",
      "ultrafast",
      "-tune",
      "zerolatency",
      "-g",
      "10",
      "-x264-params",
      "aud=1:sliced-threads=0",
    ],
    ...["-pix_fmt", "yuv420p", "-f", "h264", "-"],
  ]);
  if (stdout.length === 0) throw new Error(stderr.toString());
  const units = nalUnits(stdout);
  const type = (unit: Uint8Array) => (unit[0] ?? 0) & 31;
  const sps = units.find((unit) => type(unit) === 7);
  const pps = units.find((unit) => type(unit) === 8);
  if (!sps || !pps) throw new Error("no parameter sets");
  const avcConfig = Buffer.concat([
    Uint8Array.of(1, sps[1] ?? 0, sps[2] ?? 0, sps[3] ?? 0, 0xff, 0xe1, sps.length >> 8, sps.length & 255),
    sps,
    Uint8Array.of(1, pps.length >> 8, pps.length & 255),
    pps,
  ]);
  const pictures = units.filter((unit) => type(unit) === 1 || type(unit) === 5);
  const frames = pictures.map((unit) => {
    const data = new Uint8Array(4 + unit.length);
    new DataView(data.buffer).setUint32(0, unit.length);
    data.set(unit, 4);
    return { key: type(unit) === 5, data };
  });
  return { avcConfig, frames };
}

function nalUnits(stream: Buffer): Uint8Array[] {
  const starts: number[] = [];
  for (let at = stream.indexOf("000001", 0, "hex"); at >= 0; at = stream.indexOf("000001", at + 3, "hex"))
    starts.push(at + 3);
  return starts.map((start, index) => {
    let end = (starts[index + 1] ?? stream.length + 3) - 3;
    while (stream[end - 1] === 0) end -= 1;
    return Uint8Array.from(stream.subarray(start, end));
  });
}

/** Real Opus packets of 20 ms, out of an Ogg stream (RFC 7845). */
function encodedSound(): Uint8Array[] {
  const { stdout, stderr } = ffmpeg([
    ...["-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000", "-ac", "2"],
    ...["-c:a", "libopus", "-frame_duration", "20", "-f", "ogg", "-"],
  ]);
  if (stdout.length === 0) throw new Error(stderr.toString());
  const packets: number[][] = [[]];
  for (let page = 0; page < stdout.length; ) {
    const lengths = [...stdout.subarray(page + 27, page + 27 + (stdout[page + 26] ?? 0))];
    let at = page + 27 + lengths.length;
    for (const length of lengths) {
      packets.at(-1)?.push(...stdout.subarray(at, at + length));
      at += length;
      if (length < 255) packets.push([]);
    }
    page = at;
  }
  // The first two are headers, the last is what comes after the end.
  return packets.slice(2, -1).map((packet) => Uint8Array.from(packet));
}
