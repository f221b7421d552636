// How fan-out is measured: who is loaded, for how long, and in which order.
import { type Load, load, type Report, type Target } from "./relay_load.ts";

/** What the load sends unless it is told otherwise: with 10,400 bytes each, 2.5 Mbit/s. */
export const CHUNKS_PER_SECOND = 30;

/** How long everything takes. */
export interface Effort {
  rounds: number;
  seconds: number;
  warmUp: number;
  stormRounds: number;
  stalledSeconds: number;
  search: { seconds: number; growth: number; precision: number; triesMax: number };
}

export const FULL: Effort = {
  rounds: 3,
  seconds: 5,
  warmUp: 2,
  stormRounds: 3,
  stalledSeconds: 30,
  search: { seconds: 3, growth: 1.2, precision: 1.1, triesMax: 8 },
};

export const QUICK: Effort = {
  rounds: 2,
  seconds: 3,
  warmUp: 1,
  stormRounds: 1,
  stalledSeconds: 5,
  search: { seconds: 2, growth: 1.35, precision: 1.2, triesMax: 5 },
};

export interface Candidate {
  /** What it is called in the reports. */
  name: string;
  target: Target;
  options: Load;
}

/**
 * Each candidate in turn, as often as there are rounds, so that what else the machine does meets all of them; the first of a round is
 * another one each time.
 */
export async function interleaved(candidates: Candidate[], rounds: number): Promise<Map<string, Report[]>> {
  const reports = new Map<string, Report[]>(candidates.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const candidate = candidates[(round + turn) % candidates.length];
      if (candidate) reports.get(candidate.name)?.push(await load(candidate.target, candidate.options));
    }
  }
  return reports;
}

export const us = (report: Report) => report.relay_us_per_chunk;

export interface Servers {
  bare: Target;
  plain: Target;
  encrypted: Target;
}
