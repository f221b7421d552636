// What a relay needs to hand a stream on, as a multiple of what a server needs that does nothing else: the floor.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../src/process.ts";
import { BINARIES } from "../src/system.ts";
import type { Finding } from "./figure.ts";
import type { Part } from "./part.ts";
import { type Load, load, median, pin, type Report, spread, type Target } from "./relay_load.ts";
import { run, type Stage } from "./stage.ts";

const VIEWERS = 600;
const ROUNDS = 5;
const ROUNDS_QUICK = 2;
const SECONDS = 8;
const SECONDS_QUICK = 4;

/** The search for the most viewers. */
const MOST_BEGIN = 1000;
const MOST_P99_MS = 100;
const MOST_SECONDS = 4;
/** Steps of the search after the first server that is too slow: each halves what is not known. */
const MOST_BISECTIONS = 3;
const MOST_VIEWERS_MAX = 12_000;

/** The relay must not be what turns viewers away. */
const RELAY_FLAGS = ["--viewers-max", "20000", "--streams-max", "256"];

const us = (report: Report) => report.relay_us_per_chunk;
const p99 = (report: Report) => report.latency_ms?.p99 ?? Number.POSITIVE_INFINITY;
const isWhole = (report: Report) =>
  report.chunks_delivered === report.chunks_due && report.missing + report.disorder + report.skips === 0;

/** A relay of one thread on the servers' core. */
async function relay(stage: Stage, tls?: { cert: string; key: string }): Promise<Target> {
  const relayFlags = tls ? [...RELAY_FLAGS, "--tls-cert", tls.cert, "--tls-key", tls.key] : RELAY_FLAGS;
  const directoryFlags = tls ? ["--ca", tls.cert] : [];
  process.env.TOKIO_WORKER_THREADS = "1";
  const system = await stage.system({ relays: 1, relayFlags, directoryFlags }).finally(() => {
    delete process.env.TOKIO_WORKER_THREADS;
  });
  const pid = system.relays[0]?.program.pid;
  if (pid === undefined) throw new Error("no relay");
  await pin(pid);
  const flags: Record<string, string> = { directory: system.url };
  if (tls) flags.ca = tls.cert;
  return { name: tls ? "relay, TLS" : "relay", pid, flags };
}

async function floor(stage: Stage): Promise<Target> {
  const program = new Program("fan_out_floor", join(BINARIES, "fan_out_floor"), []);
  stage.atEnd(async () => void (await program.end()));
  const [server] = await program.line(/^ws:\S+/m);
  await pin(program.pid);
  return { name: "floor", pid: program.pid, flags: { server } };
}

/** A certificate of this machine's loopback, for the relay alone. */
async function certificate(stage: Stage): Promise<{ cert: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), "dead-streaming-bench-"));
  stage.atEnd(() => rm(folder, { recursive: true, force: true }));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  // Not an authority: servers may not show one as their own.
  subject.push("-addext", "basicConstraints=critical,CA:FALSE");
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", ["req", ...kind, "-keyout", key, "-out", cert, ...subject]);
  return { cert, key };
}

/** Each server in turn, as often as there are rounds: what else the machine does meets all of them. */
async function interleaved(targets: Target[], rounds: number, options: Load): Promise<Map<Target, Report[]>> {
  const reports = new Map<Target, Report[]>(targets.map((target) => [target, []]));
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) reports.get(target)?.push(await load(target, options));
  }
  return reports;
}

/** The most viewers that all get everything in time. */
async function mostViewers(target: Target): Promise<{ viewers: number; report: Report | null }> {
  let best: { viewers: number; report: Report | null } = { viewers: 0, report: null };
  const tries = async (viewers: number) => {
    const report = await load(target, { viewers, seconds: MOST_SECONDS, "warm-up": 2 }).catch(() => null);
    const good = report !== null && isWhole(report) && p99(report) <= MOST_P99_MS;
    if (good && viewers > best.viewers) best = { viewers, report };
    return good;
  };
  let viewers = MOST_BEGIN;
  while (viewers <= MOST_VIEWERS_MAX && (await tries(viewers))) viewers = Math.round(viewers * 1.5);
  let [good, bad] = [best.viewers, viewers];
  for (let n = 0; n < MOST_BISECTIONS; n++) {
    const middle = Math.round((good + bad) / 2);
    if (await tries(middle)) good = middle;
    else bad = middle;
  }
  return best;
}

/** One row that compares `of` with `to`. */
function ratio(id: string, what: string, unit: string, values: { of: number[]; to: number[] }, max: number): Finding {
  const value = median(values.of) / median(values.to);
  return {
    id,
    what,
    result: `${value.toFixed(2)} ×`,
    value,
    target: { max, text: `≤ ${max} ×` },
    notes: `${spread(values.of, unit)} against ${spread(values.to, unit)}.`,
  };
}

export const fanOutPart: Part = {
  name: "fan_out",
  title: "Fan-out on one core, compared with a server that does nothing else",
  async measure(stage) {
    const rounds = stage.quick ? ROUNDS_QUICK : ROUNDS;
    const seconds = stage.quick ? SECONDS_QUICK : SECONDS;
    const [bare, plain, encrypted] = [
      await floor(stage),
      await relay(stage),
      await relay(stage, await certificate(stage)),
    ];

    await stage.measure(async () => {
      const reports = await interleaved([bare, plain, encrypted], rounds, { viewers: VIEWERS, seconds });
      const of = (target: Target, value: (report: Report) => number) => (reports.get(target) ?? []).map(value);
      const all = [...reports.values()].flat();
      const lost = all.filter((report) => !isWhole(report)).length;
      const [first] = reports.get(plain) ?? [];
      // Of the first round: what was held for viewers is kept for the next ones.
      const memory = (target: Target) => {
        const [{ relay_resident_bytes = 0, relay_resident_bytes_before = 0 } = {}] = reports.get(target) ?? [];
        return (relay_resident_bytes - relay_resident_bytes_before) / VIEWERS / 1024;
      };
      const load = `${VIEWERS} viewers, one stream of 2.5 Mbit/s in 30 chunks/s`;
      return [
        {
          id: "fan_out_us",
          what: `relay's CPU for each delivered chunk: ${load}`,
          result: spread(of(plain, us), "µs"),
          value: median(of(plain, us)),
          notes: `${rounds} rounds of ${seconds} s, floor, relay and TLS relay in turn; p50 ${first?.latency_ms?.p50.toFixed(1)} ms; ${lost} of ${all.length} runs lost anything.`,
        },
        ratio("fan_out_floor", "the same over the floor's", "µs", { of: of(plain, us), to: of(bare, us) }, 1.15),
        ratio(
          "fan_out_tls",
          "the same with TLS, over the floor's without",
          "µs",
          { of: of(encrypted, us), to: of(bare, us) },
          1.5,
        ),
        ratio(
          "fan_out_p99",
          "p99 from planned to delivered, over the floor's",
          "ms",
          { of: of(plain, p99), to: of(bare, p99) },
          1.5,
        ),
        {
          id: "fan_out_memory",
          what: "memory of each viewer, over the floor's",
          result: `${(memory(plain) - memory(bare)).toFixed(1)} KiB`,
          value: memory(plain) - memory(bare),
          target: { max: 16, text: "≤ 16 KiB" },
          notes: `${memory(plain).toFixed(1)} KiB against ${memory(bare).toFixed(1)} KiB, the window included; with TLS ${memory(encrypted).toFixed(1)} KiB.`,
        },
      ];
    });

    await stage.measure(async () => {
      const one = await interleaved([plain], rounds, { viewers: 640, seconds });
      const many = await interleaved([plain], rounds, { viewers: 640, streams: 64, seconds });
      const values = { of: (many.get(plain) ?? []).map(us), to: (one.get(plain) ?? []).map(us) };
      return [
        ratio(
          "fan_out_streams",
          "64 streams of 10 viewers, over one of 640: CPU for each delivered chunk",
          "µs",
          values,
          1.1,
        ),
      ];
    });

    await stage.measure(async () => {
      const report = await load(plain, { viewers: 100, storm: 500, seconds: stage.quick ? 6 : 10 });
      const first = report.storm_first_chunk_ms?.max ?? Number.POSITIVE_INFINITY;
      return [
        {
          id: "fan_out_storm_gap",
          what: "500 viewers join within a second: longest gap of 100 that watch already",
          result: `${report.gap_ms_max.toFixed(0)} ms`,
          value: report.gap_ms_max,
          target: { max: 100, text: "≤ 100 ms" },
          notes: "A chunk comes every 33 ms.",
        },
        {
          id: "fan_out_storm_join",
          what: "500 viewers join within a second: until the last of them has its first chunk",
          result: `${first.toFixed(0)} ms`,
          value: first,
          target: { max: 1000, text: "≤ 1 s" },
          notes: `From its first packet on; p50 ${report.storm_first_chunk_ms?.p50.toFixed(0)} ms.`,
        },
      ];
    });

    await stage.measure(async () => {
      const report = await load(plain, { viewers: VIEWERS, stalled: 1, seconds: stage.quick ? 6 : 30 });
      const grown = (report.relay_resident_bytes - report.relay_resident_bytes_before) / 2 ** 20;
      return [
        {
          id: "fan_out_stalled",
          what: `one viewer beside ${VIEWERS} reads nothing: chunks that the others miss`,
          result: `${report.chunks_due - report.chunks_delivered} of ${report.chunks_due}`,
          value: report.chunks_due - report.chunks_delivered,
          target: { max: 0, text: "none" },
          notes: `p99 ${report.latency_ms?.p99.toFixed(1)} ms; the relay's memory has grown by ${grown.toFixed(1)} MiB with all ${VIEWERS + 1} connections.`,
        },
      ];
    });

    if (stage.quick) return;
    await stage.measure(async () => {
      const [floors, relays] = [await mostViewers(bare), await mostViewers(plain)];
      const share = relays.viewers / floors.viewers;
      const describe = ({ viewers, report }: typeof floors) =>
        `${viewers} viewers (p99 ${report?.latency_ms?.p99.toFixed(0)} ms, ${(((report?.relay_cpu_seconds ?? 0) / MOST_SECONDS) * 100).toFixed(0)} % of a core, the load ${(((report?.load_cpu_seconds ?? 0) / MOST_SECONDS) * 100).toFixed(0)} %)`;
      return [
        {
          id: "fan_out_most",
          what: `the most viewers that get everything with p99 ≤ ${MOST_P99_MS} ms: the floor's over the relay's`,
          result: `1 / ${share.toFixed(2)}`,
          value: 1 / share,
          target: { max: 1 / 1.4, text: "relay ≥ 1.4 × the floor" },
          notes: `Relay ${describe(relays)}, floor ${describe(floors)}; runs of ${MOST_SECONDS} s.`,
        },
      ];
    });
  },
};
