import assert from "node:assert/strict";
import { test } from "node:test";
import { clockIn } from "../src/screen_clock.ts";
import { BLOCK_PX, TIME_BITS } from "../src/wall_clock.ts";

/** The clock as a screen shows it, at this scale. */
function screen(value: number, scale: number): { look: Uint8Array; width: number } {
  const bits = [1, 0, ...Array.from({ length: TIME_BITS }, (_, n) => Math.floor(value / 2 ** (TIME_BITS - 1 - n)) % 2)];
  const width = Math.ceil(bits.length * BLOCK_PX * scale);
  const height = Math.ceil(2 * BLOCK_PX * scale);
  const look = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = Math.floor(y / scale / BLOCK_PX);
      const bit = bits[Math.min(bits.length - 1, Math.floor(x / scale / BLOCK_PX))] ?? 0;
      look[y * width + x] = (bit ^ row) === 1 ? 240 : 12;
    }
  }
  return { look, width };
}

test("the clock is read at any scale", () => {
  for (const scale of [1, 0.763, 0.5, 1.5]) {
    for (const value of [0, 1, 123_456, 2 ** TIME_BITS - 1]) {
      const { look, width } = screen(value, scale);
      assert.equal(clockIn(look, width, scale), value);
    }
  }
});

test("a screen of something else, and one of two frames, is no clock", () => {
  assert.equal(clockIn(new Uint8Array(704 * 64).fill(200), 704, 1), null);
  const [upper, lower] = [screen(1000, 1), screen(1001, 1)];
  upper.look.set(lower.look.subarray(704 * BLOCK_PX), 704 * BLOCK_PX);
  assert.equal(clockIn(upper.look, upper.width, 1), null);
});
