import { beforeEach, describe, expect, it, vi } from "vitest";
import type { MediaHeader } from "../protocol/media_message";
import type { TrackInfo } from "../protocol/messages";
import { indexOfType, PICTURE, SOUND } from "./fixtures/boxes";
import { FakeMediaSource, fakeVideo } from "./fixtures/media_source";
import { renumber } from "./fmp4";
import { Reel } from "./reel";

const UNITS_PER_S = 15360;
const info = (track: number, kind: "video" | "sound" = "video", codec = "avc1.64000A"): TrackInfo => ({
  track,
  kind,
  codec: kind === "sound" ? "opus" : codec,
  width: kind === "sound" ? 0 : 1280 / track,
  height: kind === "sound" ? 0 : 720 / track,
  frame_rate: 30,
  sample_rate: 0,
  channels: 0,
});
const full = info(1);
const sound = info(2, "sound");
const small = info(3);
const tracks = [full, sound, small];

let heard: string[];
let reel: Reel;
let pieces: Map<string, Uint8Array>;

beforeEach(() => {
  FakeMediaSource.made = [];
  vi.stubGlobal("MediaSource", FakeMediaSource);
  vi.stubGlobal("URL", { createObjectURL: () => "blob:", revokeObjectURL: () => {} });
  heard = [];
  pieces = new Map();
  reel = new Reel(
    fakeVideo(),
    () => ({ position: 0, attentive: true }),
    {
      changed: () => {},
      taken: () => {},
      restarted: () => heard.push("restarted"),
      switched: (overlaid) => heard.push(overlaid ? "switched over" : "switched"),
      unplayable: () => heard.push("unplayable"),
    },
    new AbortController().signal,
  );
});

const header = (track: number, segment: number, chunk: number): MediaHeader => ({
  kind: "chunk",
  key: chunk === 0,
  sealed: false,
  track,
  segment,
  chunk,
  capturedAtUs: segment * 1_000_000 + chunk * 100_000,
});

/** The init segments of two pictures differ, if only in their names. */
function init(track: number) {
  const bytes = (track === 2 ? SOUND : PICTURE).init.slice();
  const at = indexOfType(bytes, "ftyp") + 8;
  new DataView(bytes.buffer).setUint32(at, track);
  renumber(bytes, track);
  keep(`init ${track}`, bytes, track);
  reel.media({ ...header(track, 0, 0), kind: "init", key: false }, bytes.slice());
}

/** A picture of one second's segment, each a tenth of a second after the last. */
function picture(track: number, segment: number, chunk: number) {
  const bytes = (PICTURE.chunks[chunk === 0 ? 0 : 1] as Uint8Array).slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(indexOfType(bytes, "tfdt") + 12, Math.round((segment + chunk / 10) * UNITS_PER_S));
  const name = `${track}/${segment}/${chunk}`;
  // Told apart by a byte of the picture itself, which nothing looks at.
  bytes[bytes.length - 1] = track * 16 + segment * 4 + chunk;
  renumber(bytes, track);
  reel.media(header(track, segment, chunk), bytes);
  // The reel has declared it to last, in place.
  keep(name, bytes, track);
}

/** A piece in a buffer that was made for the first track, and one of its own. */
function keep(name: string, bytes: Uint8Array, track: number) {
  const as = (id: number) => {
    const copy = bytes.slice();
    renumber(copy, id);
    return copy;
  };
  pieces.set(name, as(1));
  if (track !== 1) pieces.set(`${name} itself`, as(track));
}

const given = () => FakeMediaSource.last.given(0, pieces);

/** The full picture plays, its first segment is under way. */
function playing(all = tracks, sent = [1]) {
  reel.watching(all, sent);
  init(1);
  FakeMediaSource.last.opens();
  picture(1, 1, 0);
  picture(1, 1, 1);
  heard = [];
}

describe("another picture of the same stream", () => {
  it("follows in the same buffer, behind its own init segment, when its first key frame comes", () => {
    playing();
    reel.watching(tracks, [3]);
    picture(1, 1, 2);
    init(3);
    picture(3, 1, 1);
    picture(3, 2, 0);
    picture(3, 2, 1);
    picture(1, 2, 0);
    expect(given()).toEqual(["init 1", "1/1/0", "1/1/1", "1/1/2", "init 3", "3/2/0", "3/2/1"]);
    expect([FakeMediaSource.made.length, heard, reel.edge]).toEqual([1, ["switched"], 2.1]);
  });

  it("and back needs no init segment that came before", () => {
    playing();
    reel.watching(tracks, [3]);
    init(3);
    picture(3, 2, 0);
    reel.watching(tracks, [1]);
    picture(3, 2, 1);
    picture(1, 3, 0);
    expect(given().slice(3)).toEqual(["init 3", "3/2/0", "3/2/1", "init 1", "1/3/0"]);
  });

  it("that is given up before it came changes nothing", () => {
    playing();
    reel.watching(tracks, [3]);
    reel.watching(tracks, [1]);
    picture(3, 2, 0);
    picture(1, 2, 0);
    expect([given(), heard]).toEqual([["init 1", "1/1/0", "1/1/1", "1/2/0"], []]);
  });

  it("that begins with what was shown, as at a new relay, waits until it is past that, and lies over it then", () => {
    playing();
    picture(1, 1, 2);
    reel.watching(tracks, [3]);
    init(3);
    picture(3, 1, 0);
    picture(3, 1, 1);
    picture(3, 1, 2);
    expect([given().length, heard]).toEqual([4, []]);
    picture(3, 1, 3);
    expect(given().slice(4)).toEqual(["init 3", "3/1/0", "3/1/1", "3/1/2", "3/1/3"]);
    expect(heard).toEqual(["switched over"]);
  });

  it("keeps to know when what is still on the screen was captured", () => {
    playing();
    reel.watching(tracks, [3]);
    init(3);
    picture(3, 2, 0);
    expect([reel.capturedAtMs(1.1), reel.capturedAtMs(2)]).toEqual([1100, 2000]);
  });

  it("of another format gets a buffer of its own", () => {
    const all = [full, sound, info(3, "video", "vp09.00.10.08")];
    playing(all);
    reel.watching(all, [3]);
    expect(heard).toEqual(["restarted"]);
    init(3);
    expect(FakeMediaSource.made.length).toBe(2);
  });
});

describe("a buffer of its own", () => {
  it("has a broadcaster that is back with other tracks", () => {
    playing();
    reel.watching([info(3)], [3]);
    expect(heard).toEqual(["restarted"]);
    init(3);
    FakeMediaSource.last.opens();
    picture(3, 1, 0);
    expect([FakeMediaSource.made.length, given()]).toEqual([2, ["init 3 itself", "3/1/0 itself"]]);
  });

  it("has one that is back with an earlier timeline, just when the picture changes", () => {
    playing();
    reel.watching(tracks, [3]);
    init(3);
    const early = (PICTURE.chunks[0] as Uint8Array).slice();
    reel.media({ ...header(3, 9, 0), capturedAtUs: 90_000_000 }, early);
    expect([FakeMediaSource.made.length, heard]).toEqual([2, ["restarted"]]);
  });

  it("has nobody who is told the same again", () => {
    playing();
    reel.watching(tracks, [1]);
    init(1);
    expect([FakeMediaSource.made.length, heard]).toEqual([1, []]);
  });
});

it("plays none of a format that the browser does not know", () => {
  reel.watching([info(1, "video", "hvc1.1.6.L93")], [1]);
  expect(heard).toEqual(["unplayable"]);
});
