import { describe, expect, it } from "vitest";
import { decodeMediaMessage, encodeMediaMessage, type MediaHeader, type MediaMessage } from "../protocol/media_message";
import { Course, Handover } from "./handover";

const CHUNKS = 10;
const PICTURE = 1;
const SOUND = 2;

function message(header: Partial<MediaHeader>, payload = 7): MediaMessage {
  const whole = {
    kind: "chunk",
    key: false,
    sealed: true,
    track: PICTURE,
    segment: 0,
    chunk: 0,
    capturedAtUs: 5,
  } as const;
  const decoded = decodeMediaMessage(encodeMediaMessage({ ...whole, ...header }, Uint8Array.of(payload)));
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded;
}
const init = (track = PICTURE, payload = 1) => message({ kind: "init", track }, payload);
const chunk = (segment: number, n: number, track = PICTURE) => message({ segment, chunk: n, key: n === 0, track });

/** Everything of a track from one place up to the end of a segment. */
function run(from: [number, number], untilSegment: number, track = PICTURE): MediaMessage[] {
  const messages: MediaMessage[] = [];
  for (let [segment, n] = from; segment <= untilSegment; segment += 1, n = 0) {
    for (; n < CHUNKS; n += 1) messages.push(chunk(segment, n, track));
  }
  return messages;
}

const told = (messages: MediaMessage[]) =>
  messages.map(({ header }) => (header.kind === "init" ? "init" : `${header.track}/${header.segment}/${header.chunk}`));

/** A viewer that has played up to here, and begins to move. */
function moving(played: MediaMessage[]): Handover {
  const course = new Course();
  for (const each of played) course.passed(each);
  return new Handover(course);
}

describe("a viewer that moves", () => {
  it("plays the old relay up to where the new one begins, and the new one from there on", () => {
    const handover = moving([init(), ...run([4, 0], 4).slice(0, 6)]);
    expect(told([init(), chunk(5, 0), chunk(5, 1)].flatMap((each) => handover.fromNew(each)))).toEqual([]);
    expect(told(run([4, 6], 4).flatMap((each) => handover.fromOld(each)))).toEqual([
      "1/4/6",
      "1/4/7",
      "1/4/8",
      "1/4/9",
    ]);
    expect([handover.begun, handover.underWay]).toEqual([true, false]);
    expect(told(handover.fromOld(chunk(5, 0)))).toEqual(["1/5/0", "1/5/1"]);
    expect(told(handover.fromOld(chunk(5, 1)))).toEqual([]);
    expect(told(handover.fromNew(chunk(5, 2)))).toEqual(["1/5/2"]);
    expect(handover.complete([PICTURE])).toBe(true);
  });

  it("leaves out what it knows of the new relay's backlog, and goes on with the old one until that has caught up", () => {
    const handover = moving([init(), ...run([4, 0], 4)]);
    expect(told([init(), chunk(4, 0), chunk(4, 1)].flatMap((each) => handover.fromNew(each)))).toEqual([]);
    expect(told(handover.fromOld(chunk(5, 0)))).toEqual(["1/5/0"]);
    expect(told(run([4, 2], 5).flatMap((each) => handover.fromNew(each)))).toEqual(told(run([5, 1], 5)));
    expect(told(handover.fromOld(chunk(5, 1)))).toEqual([]);
  });

  it("changes each track over by itself, where its own segments meet", () => {
    const handover = moving([init(), init(SOUND), chunk(4, 9), chunk(4, 3, SOUND)]);
    const fromNew = [init(), init(SOUND), chunk(5, 0), chunk(4, 0, SOUND), chunk(4, 4, SOUND)];
    expect(told(fromNew.flatMap((each) => handover.fromNew(each)))).toEqual(["2/4/4"]);
    expect([handover.complete([PICTURE, SOUND]), handover.complete([SOUND])]).toEqual([false, true]);
    expect(told(handover.fromOld(chunk(4, 4, SOUND)))).toEqual([]);
    expect(told(handover.fromOld(chunk(5, 0)))).toEqual(["1/5/0"]);
    expect(handover.complete([PICTURE, SOUND])).toBe(true);
  });

  it("takes a new init segment with the chunks it belongs to, and the known one not at all", () => {
    const handover = moving([init(), chunk(4, 8)]);
    const waiting = [init(PICTURE, 1), init(PICTURE, 2), chunk(5, 0)].flatMap((each) => handover.fromNew(each));
    expect(waiting).toEqual([]);
    expect(told(handover.fromOld(chunk(4, 9)))).toEqual(["1/4/9"]);
    expect(told(handover.fromOld(init(PICTURE, 2)))).toEqual(["init"]);
    expect(told(handover.fromOld(chunk(5, 0)))).toEqual(["1/5/0"]);
  });

  it("goes on with what the new relay has when the old one closes early", () => {
    const handover = moving([init(), chunk(4, 3)]);
    for (const each of [init(), chunk(5, 0), chunk(5, 1)]) handover.fromNew(each);
    expect(told(handover.end())).toEqual(["1/5/0", "1/5/1"]);
    expect(told(handover.fromNew(chunk(5, 2)))).toEqual(["1/5/2"]);
  });

  it("shows everything once and in order, however the two relays interleave", () => {
    // A small generator with a fixed seed: the same interleavings on every run.
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const tracks = [PICTURE, SOUND];
    for (let round = 0; round < 300; round += 1) {
      const playedTo = 2 + random(24);
      const beginsAt = random(4);
      const old = tracks.flatMap((track) => run([0, 0], 3, track)).sort(byPlace);
      const fresh = tracks.flatMap((track) => [init(track), ...run([beginsAt, 0], 6, track)]).sort(byPlace);
      const seen: MediaMessage[] = [...tracks.map((track) => init(track)), ...old.splice(0, playedTo)];
      const handover = moving(seen);
      while (old.length > 0 || fresh.length > 0) {
        const takeOld = fresh.length === 0 || (old.length > 0 && random(2) === 0);
        const next = (takeOld ? old : fresh).shift();
        if (next) seen.push(...(takeOld ? handover.fromOld(next) : handover.fromNew(next)));
        if (old.length === 0) seen.push(...handover.end());
      }
      for (const track of tracks) {
        const shown = seen.filter(({ header }) => header.kind === "chunk" && header.track === track);
        expect(told(shown)).toEqual(told(run([0, 0], 6, track)));
      }
      expect(seen.filter(({ header }) => header.kind === "init").length).toBe(2);
    }
  });
});

function byPlace(a: MediaMessage, b: MediaMessage): number {
  const at = ({ header }: MediaMessage) => (header.kind === "init" ? -1 : header.segment * 100 + header.chunk);
  return at(a) - at(b);
}
