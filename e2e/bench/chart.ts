// A drawing of what was measured: kept as numbers beside the figures, and drawn by the performance_charts command.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { BINARIES } from "../src/system.ts";
import type { Build } from "./figure.ts";

const run = promisify(execFile);

export interface Axis {
  /** With its unit. */
  label: string;
  logarithmic?: boolean;
}

export interface Line {
  name: string;
  points: [x: number, y: number][];
}

/** A drawing before it is known what it was made with. */
export interface Drawing {
  /** Stable, and the name of its file. */
  id: string;
  title: string;
  x: Axis;
  y: Axis;
  lines: Line[];
}

export interface Chart extends Drawing {
  part: string;
  /** When, ISO 8601. */
  at: string;
  build: Build;
  quick: boolean;
}

/** The folder of the drawings, beside the document. */
export const CHARTS_FOLDER = "performance";

/** Draws all charts of the results in `folder`. */
export async function draw(folder: string): Promise<void> {
  const command = ["--results", join(folder, "performance.json"), "--to", join(folder, CHARTS_FOLDER)];
  await run(join(BINARIES, "performance_charts"), command);
}
