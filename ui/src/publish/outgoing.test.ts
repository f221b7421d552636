import { expect, it } from "vitest";
import { decodeMediaMessage, type MediaHeader } from "../protocol/media_message";
import { Outgoing, TRACKS, trackList } from "./outgoing";
import type { Offer } from "./send_gate";
import { Wrapping } from "./wrapping";

const DATA = Uint8Array.of(0, 0, 0, 1, 9);
const AVC = Uint8Array.of(1, 0x42, 0xe0, 0x1f);
const CONFIG = { codec: "avc1.42E01F", width: 1280, height: 720, frameRate: 30, bitrate: 2_600_000 };
const SMALL = { ...CONFIG, width: 640, height: 360, frameRate: 15 };
const NOON_MS = 1_800_000_000_000;

function session(withSmall = true) {
  const sent: { offer: Offer; header: MediaHeader }[] = [];
  const inits: MediaHeader[] = [];
  const time = { session: 0, offset: NOON_MS };
  const headerOf = (message: Uint8Array<ArrayBuffer>) => {
    const decoded = decodeMediaMessage(message);
    if (!decoded.ok) throw new Error(decoded.error);
    return decoded.header;
  };
  const outgoing = new Outgoing({
    wrapping: new Wrapping(null, () => {}),
    clockMs: () => time.offset + time.session,
    sessionMs: () => time.session,
    withSmall,
    sendInit: (_track, message) => inits.push(headerOf(message)),
    sendChunk: (offer, message) => sent.push({ offer, header: headerOf(message) }),
  });
  const places = () => sent.map(({ header }) => [header.track, header.segment, header.chunk, header.key]);
  return { outgoing, sent, inits, time, places };
}

it("gives both pictures of a frame the same segment and the same time, whenever their encoders are done", () => {
  const { outgoing, sent, time, places } = session();
  outgoing.cut(40_000);
  time.session = 45.1;
  outgoing.picture("small", { timeUs: 40_000, key: true, data: DATA }, 15);
  // The clock was measured anew meanwhile.
  time.offset += 7;
  time.session = 61.7;
  outgoing.picture("full", { timeUs: 40_000, key: true, data: DATA }, 30);
  expect(places()).toEqual([
    [TRACKS.small, 0, 0, true],
    [TRACKS.full, 0, 0, true],
  ]);
  expect(sent.map(({ header }) => header.capturedAtUs)).toEqual([NOON_MS * 1000 + 40_000, NOON_MS * 1000 + 40_000]);
  outgoing.cut(2_040_000);
  outgoing.picture("full", { timeUs: 2_040_000, key: true, data: DATA }, 30);
  expect(sent.at(-1)?.header.capturedAtUs).toBe(NOON_MS * 1000 + 2_047_000);
});

it("offers the full picture as spare only where there is a small one", () => {
  for (const withSmall of [true, false]) {
    const { outgoing, sent } = session(withSmall);
    outgoing.cut(0);
    outgoing.picture("full", { timeUs: 0, key: true, data: DATA }, 30);
    outgoing.sound(0, DATA);
    expect(sent.map(({ offer }) => offer.spare)).toEqual([withSmall, false]);
  }
});

it("sends nothing that nobody could decode", () => {
  const { outgoing, sent } = session();
  outgoing.picture("full", { timeUs: 0, key: false, data: DATA }, 30);
  outgoing.sound(0, DATA);
  expect(sent).toEqual([]);
});

it("gives each init segment a later time than the one before", () => {
  const { outgoing, inits } = session();
  outgoing.parameters("full", CONFIG, AVC);
  outgoing.parameters("small", SMALL, AVC);
  outgoing.soundBegins();
  expect(inits.map(({ track }) => track)).toEqual([TRACKS.full, TRACKS.small, TRACKS.sound]);
  const times = inits.map(({ capturedAtUs }) => capturedAtUs);
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
});

it("names the full picture first, and only what there is", () => {
  const numbers = (...of: Parameters<typeof trackList>) => trackList(...of).map(({ track, kind }) => [track, kind]);
  expect(numbers(CONFIG, SMALL, true)).toEqual([
    [TRACKS.full, "video"],
    [TRACKS.small, "video"],
    [TRACKS.sound, "sound"],
  ]);
  expect(numbers(CONFIG, undefined, false)).toEqual([[TRACKS.full, "video"]]);
  expect(trackList(CONFIG, SMALL, false)[1]).toMatchObject({
    width: 640,
    height: 360,
    frame_rate: 15,
    codec: CONFIG.codec,
  });
});
