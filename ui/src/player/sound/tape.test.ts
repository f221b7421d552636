import { describe, expect, it } from "vitest";
import { type Channels, Tape } from "./tape";

const RATE = 48_000;
/** 20 ms, as a packet has. */
const PIECE = 960;
/** Long enough for any fade. */
const SETTLED = 480;

/** A piece whose every sample says when it is to be heard. */
function piece(time: number, length = PIECE): Channels {
  const left = Float32Array.from({ length }, (_, i) => time + i / RATE);
  return [left, left.map((value) => -value)];
}

function tapeWith(from: number, pieces: number): Tape {
  const tape = new Tape(RATE);
  for (let n = 0; n < pieces; n++) tape.write(from + n * 0.02, piece(from + n * 0.02));
  return tape;
}

function read(tape: Tape, samples: number, pace = 1): Channels {
  const out: Channels = [new Float32Array(samples), new Float32Array(samples)];
  tape.read(out, pace);
  return out;
}

const near = (value: number | undefined, wanted: number) => expect(value).toBeCloseTo(wanted, 3);

it("is silent before it was told where to read, and counts nothing as missing", () => {
  const tape = tapeWith(1, 5);
  const [left] = read(tape, 128);
  expect([left.every((value) => value === 0), tape.dry, tape.position]).toEqual([true, 0, null]);
});

it("gives each sample at its time, on both channels", () => {
  const tape = tapeWith(1, 10);
  tape.seek(1);
  read(tape, SETTLED);
  const [left, right] = read(tape, 128);
  near(left[0], 1 + SETTLED / RATE);
  near(right[0], -1 - SETTLED / RATE);
  expect([tape.dry, tape.position]).toEqual([0, 1 + (SETTLED + 128) / RATE]);
});

it("goes a little faster and then on whole samples again", () => {
  const tape = tapeWith(1, 20);
  tape.seek(1);
  read(tape, SETTLED);
  const from = tape.position ?? 0;
  read(tape, 4800, 1.01);
  expect((tape.position ?? 0) - from).toBeCloseTo(0.101, 4);
  read(tape, 128);
  expect((tape.position ?? 0) * RATE).toBeCloseTo(Math.round((tape.position ?? 0) * RATE), 6);
});

describe("where nothing is", () => {
  it("it is silent, time goes on, and what is missing is counted", () => {
    const tape = tapeWith(1, 2);
    tape.seek(1.03);
    read(tape, PIECE);
    const [left] = read(tape, 128);
    expect(left.every((value) => value === 0)).toBe(true);
    expect(tape.dry).toBeGreaterThan(128);
    expect(tape.position).toBeCloseTo(1.03 + (PIECE + 128) / RATE, 6);
  });

  it("the end is faded out, and what comes later faded in", () => {
    const tape = tapeWith(1, 2);
    tape.seek(1.02);
    const [left] = read(tape, 2 * PIECE);
    const steps = left.slice(1).map((value, i) => Math.abs(value - (left[i] ?? 0)));
    // The loudest step of a cut would be 1, of these fades 1/240.
    expect(Math.max(...steps)).toBeLessThan(0.01);
    tape.write(1.08, piece(1.08));
    const [again] = read(tape, 128);
    expect(Math.abs((again[1] ?? 1) - (again[0] ?? 0))).toBeLessThan(0.01);
  });
});

it("hears a piece that comes too late only where it is not yet past", () => {
  const tape = tapeWith(1, 1);
  tape.seek(1);
  read(tape, PIECE + SETTLED);
  tape.write(1.02, piece(1.02));
  const [left] = read(tape, 240);
  near(left[239], 1.02 + (SETTLED + 239) / RATE);
});

it("takes pieces whose times are rounded for one sound", () => {
  const tape = new Tape(RATE);
  for (let n = 0; n < 5; n++) tape.write(1 + n * 0.02 + (n % 2 ? 0.0004 : -0.0004), piece(1 + n * 0.02));
  tape.seek(1.01);
  const [left] = read(tape, 3 * PIECE);
  const steps = left.slice(SETTLED + 1).map((value, i) => value - (left[SETTLED + i] ?? 0));
  expect(Math.max(...steps) - Math.min(...steps)).toBeLessThan(1e-4);
});

it("moves elsewhere without a click", () => {
  const tape = new Tape(RATE);
  const tone = (from: number) => Float32Array.from({ length: 48_000 }, (_, i) => Math.sin((from + i) / 20));
  tape.write(1, [tone(0), tone(0)]);
  tape.seek(1.1);
  read(tape, SETTLED);
  tape.seek(1.7123);
  const [left] = read(tape, SETTLED);
  const steps = left.slice(1).map((value, i) => Math.abs(value - (left[i] ?? 0)));
  expect(Math.max(...steps)).toBeLessThan(0.1);
});

it("keeps the newest seconds and gives nothing older", () => {
  const tape = tapeWith(1, 500);
  tape.seek(1);
  const [left] = read(tape, 128);
  expect([left.every((value) => value === 0), tape.dry]).toEqual([true, 128]);
  tape.seek(10.5);
  read(tape, SETTLED);
  near(read(tape, 1)[0][0], 10.5 + SETTLED / RATE);
});

it("begins anew at any other time, also an earlier one, without what was before", () => {
  for (const from of [1000, 0.5]) {
    const tape = tapeWith(100, 5);
    tape.write(from, piece(from));
    tape.seek(from);
    const [left] = read(tape, SETTLED);
    near(left[SETTLED - 1], from + (SETTLED - 1) / RATE);
  }
});

it("forgets when told so", () => {
  const tape = tapeWith(1, 5);
  tape.seek(1);
  tape.forget();
  expect(tape.position).toBeNull();
  tape.seek(1);
  expect(read(tape, 128)[0].every((value) => value === 0)).toBe(true);
});
