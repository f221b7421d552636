// Runs of the load generator: what it is told, and what it tells.
import { join } from "node:path";
import { BINARIES } from "../src/system.ts";
import { run } from "./stage.ts";

/** Servers that are measured have one core of their own, as far as the machine has two; the load has the other. */
export const SERVER_CORE = "1";
export const LOAD_CORE = "0";
/** All that a machine of two has: for servers that have a share of both. */
export const BOTH_CORES = "0,1";

/** What a run may take beyond its measured time: thousands of viewers join one after the other. */
export const OVERHEAD_MS = 120_000;

export interface Summary {
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** The fields of `relay_load`'s report that are used here. */
export interface Report {
  streams: number;
  viewers: number;
  seconds: number;
  chunks_due: number;
  chunks_delivered: number;
  missing: number;
  disorder: number;
  skips: number;
  gap_ms_max: number;
  latency_ms: Summary | null;
  forwarding_kb_per_s: { average: number; slowest: number } | null;
  publisher_late_ms: Summary | null;
  relay_us_per_chunk: number;
  relay_cpu_seconds: number;
  relay_resident_bytes_before: number;
  relay_resident_bytes_begin: number;
  relay_resident_bytes: number;
  storm_first_chunk_ms: Summary | null;
  load_cpu_seconds: number;
}

/** The server under load. */
export interface Target {
  name: string;
  pid: number;
  /** The flags that name it. */
  flags: Record<string, string>;
  /** Where the load runs, unless on a core of its own. */
  loadCores?: string;
}

export interface Load {
  viewers: number;
  seconds: number;
  streams?: number;
  stalled?: number;
  storm?: number;
  "warm-up"?: number;
  rate?: number;
  "chunk-bytes"?: number;
  "key-interval"?: number;
  threads?: number;
  /** Whether viewers' threads never sleep. */
  awake?: boolean;
}

/** Puts load on a server. */
export async function load(target: Target, options: Load): Promise<Report> {
  const flags = { ...target.flags, "relay-pid": target.pid, ...options };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const command = ["-c", target.loadCores ?? LOAD_CORE, join(BINARIES, "relay_load"), ...args];
  const { stdout } = await run("taskset", command, { timeout: options.seconds * 1000 + OVERHEAD_MS });
  return JSON.parse(stdout) as Report;
}

/** Gives a process, with all its threads, the servers' core. */
export async function pin(pid: number): Promise<void> {
  await run("taskset", ["-a", "-c", "-p", SERVER_CORE, String(pid)]);
}

/** Whether all that was sent in the measured time reached everybody, in order. */
export const isWhole = (report: Report) =>
  report.chunks_delivered === report.chunks_due && report.missing + report.disorder + report.skips === 0;

export const p99 = (report: Pick<Report, "latency_ms">) => report.latency_ms?.p99 ?? Number.POSITIVE_INFINITY;

/** What the server and the load used, in percent of a core. */
export const serverPercent = (report: Report) => (report.relay_cpu_seconds / report.seconds) * 100;
export const loadPercent = (report: Report) => (report.load_cpu_seconds / report.seconds) * 100;

export const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
export const median = (values: number[]) => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

/** "7.1 µs (6.9 to 7.4)" */
export function spread(values: number[], unit: string, digits = 1): string {
  const text = (value: number | undefined) => (value ?? Number.NaN).toFixed(digits);
  const all = sorted(values);
  if (all.length === 1) return `${text(all[0])} ${unit}`;
  return `${text(median(values))} ${unit} (${text(all[0])} to ${text(all.at(-1))})`;
}
