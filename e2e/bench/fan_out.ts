// What a relay needs for each chunk that it delivers.
import { join } from "node:path";
import { BINARIES } from "../src/system.ts";
import type { Part } from "./part.ts";
import { run } from "./stage.ts";

const VIEWERS = 300;
const RUNS = 3;
const SECONDS = 20;
const SECONDS_QUICK = 4;

interface Latency {
  p50: number;
  p99: number;
  max: number;
}

/** The fields of `relay_load`'s report that are used here. */
interface Report {
  chunks_due: number;
  chunks_delivered: number;
  missing: number;
  disorder: number;
  skips: number;
  latency_ms: Latency;
  publisher_late_ms: Latency;
  relay_us_per_chunk: number;
  relay_cpu_seconds: number;
  load_cpu_seconds: number;
  seconds: number;
}

const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
const median = (values: number[]) => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

export const fanOutPart: Part = {
  name: "fan_out",
  title: "Fan-out",
  async measure(stage) {
    const system = await stage.system();
    const relay = system.relays[0];
    if (!relay) throw new Error("no relay");
    const seconds = stage.quick ? SECONDS_QUICK : SECONDS;
    await stage.measure(async () => {
      const reports: Report[] = [];
      for (let n = 0; n < RUNS; n++) {
        const flags = { directory: system.url, "relay-pid": relay.program.pid, viewers: VIEWERS, seconds };
        const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
        const { stdout } = await run(join(BINARIES, "relay_load"), args, { timeout: (seconds + 60) * 1000 });
        reports.push(JSON.parse(stdout) as Report);
      }
      const all = (field: (report: Report) => number) => sorted(reports.map(field));
      const sum = (field: (report: Report) => number) => reports.reduce((total, report) => total + field(report), 0);
      const us = all((report) => report.relay_us_per_chunk);
      const share = median(all((report) => report.relay_cpu_seconds / report.seconds));
      const p99 = median(all(({ latency_ms }) => latency_ms.p99));
      const due = sum((report) => report.chunks_due);
      return [
        {
          id: "fan_out_us",
          what: `relay's CPU for each chunk delivered to each of ${VIEWERS} viewers (one stream, 2.5 Mbit/s in 30 chunks/s)`,
          result: `${median(us).toFixed(1)} µs (${us[0]?.toFixed(1)} to ${us.at(-1)?.toFixed(1)})`,
          value: median(us),
          notes: `${RUNS} runs of ${seconds} s; relay at ${(share * 100).toFixed(0)} % of a core; the load's own ${(median(all((r) => r.load_cpu_seconds / r.seconds)) * 100).toFixed(0)} %.`,
        },
        {
          id: "fan_out_latency",
          what: "from a chunk's planned time of sending to its last byte at a viewer, the same load",
          result: `p50 ${median(all(({ latency_ms }) => latency_ms.p50)).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
          value: p99,
          notes: `max ${Math.max(...all(({ latency_ms }) => latency_ms.max)).toFixed(1)} ms; sent late by p99 ${median(all(({ publisher_late_ms }) => publisher_late_ms.p99)).toFixed(1)} ms itself; ${sum((r) => r.chunks_delivered)} of ${due} chunks delivered, ${sum((r) => r.missing)} left out, ${sum((r) => r.disorder)} out of order, ${sum((r) => r.skips)} skips.`,
        },
      ];
    });
  },
};
