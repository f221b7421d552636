// Reads the clock from an X screen, where a person sees it: what a program says of the frames that it shows is not asked.
import { spawn } from "node:child_process";
import type { Display } from "./display.ts";
import { BLOCK_PX, type Reading, TIME_BITS, WRAP_MS } from "./wall_clock.ts";

/** How often the screen is looked at: a screen's own rate. A change is seen half of 1/60 s late in the middle, as by an eye. */
const LOOKS_PER_SECOND = 60;
const COLUMNS = TIME_BITS + 2;
const WHITE = 170;
const BLACK = 85;

/** Where on the screen the picture of a clock's screen is, and its width over that of the screen. */
export interface Place {
  x: number;
  y: number;
  scale: number;
}

/** The clock in a look at the place, in grey levels; null where there is none, or one of two frames. */
export function clockIn(look: Uint8Array, width: number, scale: number): number | null {
  const bit = (column: number, row: number): 0 | 1 | null => {
    const x = Math.floor((column + 0.5) * BLOCK_PX * scale);
    const y = Math.floor((row + 0.5) * BLOCK_PX * scale);
    const level = look[y * width + x] ?? 128;
    return level > WHITE ? 1 : level < BLACK ? 0 : null;
  };
  if (bit(0, 0) !== 1 || bit(1, 0) !== 0) return null;
  let value = 0;
  for (let column = 0; column < COLUMNS; column++) {
    const upper = bit(column, 0);
    if (upper === null || bit(column, 1) !== 1 - upper) return null;
    if (column >= 2) value = value * 2 + upper;
  }
  return value;
}

/** Looks at a place of a screen for so long; a frame is read when it is seen first. */
export async function readScreenClock(display: Display, place: Place, durationMs: number): Promise<Reading> {
  const width = Math.ceil(COLUMNS * BLOCK_PX * place.scale);
  const height = Math.ceil(2 * BLOCK_PX * place.scale);
  const input = `${display.env.DISPLAY}+${Math.round(place.x)},${Math.round(place.y)}`;
  const grab = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", `${LOOKS_PER_SECOND}`];
  const output = ["-pix_fmt", "gray", "-f", "rawvideo", "-flush_packets", "1", "pipe:1"];
  const quiet = ["-loglevel", "error", "-nostdin", "-fflags", "nobuffer"];
  const seconds = (durationMs / 1000).toFixed(3);
  const args = [...quiet, ...grab, "-video_size", `${width}x${height}`, "-t", seconds, "-i", input, ...output];
  const ffmpeg = spawn("ffmpeg", args, { stdio: ["ignore", "pipe", "inherit"] });
  const reading: Reading = { latenciesMs: [], gapsMs: [], unreadable: 0, missed: 0, width: 0, height: 0 };
  let pending: Buffer = Buffer.alloc(0);
  let last: { at: number; value: number } | null = null;
  const look = (bytes: Uint8Array, at: number) => {
    const value = clockIn(bytes, width, place.scale);
    if (value === null) reading.unreadable += 1;
    if (value === null || value === last?.value) return;
    // What stood there when the looking began was not seen to come.
    if (last !== null) {
      reading.gapsMs.push(at - last.at);
      reading.latenciesMs.push((((at % WRAP_MS) - value + WRAP_MS + WRAP_MS / 2) % WRAP_MS) - WRAP_MS / 2);
    }
    last = { at, value };
  };
  for await (const piece of ffmpeg.stdout) {
    const at = Date.now();
    pending = Buffer.concat([pending, piece as Buffer]);
    while (pending.length >= width * height) {
      look(pending.subarray(0, width * height), at);
      pending = pending.subarray(width * height);
    }
  }
  return reading;
}
