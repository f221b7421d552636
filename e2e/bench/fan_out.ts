// What a relay needs to hand a stream on, as a multiple of what a server needs that does nothing else: the floor.
import type { Finding } from "./figure.ts";
import { cores, most } from "./most_viewers.ts";
import type { Part } from "./part.ts";
import { isWhole, load, median, p99, type Report, spread, type Target } from "./relay_load.ts";
import { CHUNKS_PER_SECOND, type Effort, FULL, interleaved, QUICK, type Servers, us } from "./rounds.ts";
import { certificate, floor, relay } from "./servers.ts";
import type { Stage } from "./stage.ts";

const VIEWERS = 600;
/** As many streams as the table asks for, and viewers who can be dealt out to them evenly. */
const STREAMS = 64;
const VIEWERS_OF_STREAMS = 640;
const STORM = 500;
const STORM_WATCHERS = 100;

/** One row that compares `of` with `to`. */
function ratio(o: {
  id: string;
  what: string;
  unit: string;
  of: number[];
  to: number[];
  max: number;
  notes?: string;
}): Finding {
  const value = median(o.of) / median(o.to);
  return {
    id: o.id,
    what: o.what,
    result: `${value.toFixed(2)} ×`,
    value,
    target: { max: o.max, text: `≤ ${o.max} ×` },
    notes: `${spread(o.of, o.unit)} against ${spread(o.to, o.unit)}.${o.notes ? ` ${o.notes}` : ""}`,
  };
}

/** Gives the CPU time of each chunk at the floor and at the relay, for what comes next. */
async function cost(stage: Stage, servers: Servers, effort: Effort): Promise<{ bare: number; plain: number }> {
  const { bare, plain, encrypted } = servers;
  const found = { bare: Number.NaN, plain: Number.NaN };
  await stage.measure(async () => {
    const options = { viewers: VIEWERS, seconds: effort.seconds, "warm-up": effort.warmUp, awake: true };
    const candidates = [bare, plain, encrypted].map((target) => ({ name: target.name, target, options }));
    const reports = await interleaved(candidates, effort.rounds);
    const of = (target: Target, value: (report: Report) => number) => (reports.get(target.name) ?? []).map(value);
    const all = [...reports.values()].flat();
    const lost = all.filter((report) => !isWhole(report)).length;
    const [first] = reports.get(plain.name) ?? [];
    // Of the first round: what was held for viewers is kept for the next ones.
    const memory = (target: Target) => {
      const [{ relay_resident_bytes = 0, relay_resident_bytes_before = 0 } = {}] = reports.get(target.name) ?? [];
      return (relay_resident_bytes - relay_resident_bytes_before) / VIEWERS / 1024;
    };
    found.bare = median(of(bare, us));
    found.plain = median(of(plain, us));
    return [
      {
        id: "fan_out_us",
        what: `relay's CPU for each delivered chunk: ${VIEWERS} viewers, one stream of 2.5 Mbit/s in 30 chunks/s`,
        result: spread(of(plain, us), "µs"),
        value: found.plain,
        notes: `${effort.rounds} rounds of ${effort.seconds} s, floor, relay and TLS relay in turn; p50 ${first?.latency_ms?.p50.toFixed(1)} ms; ${lost} of ${all.length} runs lost anything.`,
      },
      ratio({
        id: "fan_out_floor",
        what: "the same over the floor's",
        unit: "µs",
        of: of(plain, us),
        to: of(bare, us),
        max: 1.15,
      }),
      ratio({
        id: "fan_out_tls",
        what: "the same with TLS, over the floor's without",
        unit: "µs",
        of: of(encrypted, us),
        to: of(bare, us),
        max: 1.5,
      }),
      ratio({
        id: "fan_out_p99",
        what: "p99 from planned to delivered, over the floor's",
        unit: "ms",
        of: of(plain, p99),
        to: of(bare, p99),
        max: 1.5,
        notes: `With TLS ${spread(of(encrypted, p99), "ms")}.`,
      }),
      {
        id: "fan_out_memory",
        what: "memory of each viewer, over the floor's",
        result: `${(memory(plain) - memory(bare)).toFixed(1)} KiB`,
        value: memory(plain) - memory(bare),
        target: { max: 16, text: "≤ 16 KiB" },
        notes: `${memory(plain).toFixed(1)} KiB against ${memory(bare).toFixed(1)} KiB, what is held of the stream included; with TLS ${memory(encrypted).toFixed(1)} KiB.`,
      },
    ];
  });
  return found;
}

async function manyStreams(stage: Stage, { plain }: Servers, effort: Effort): Promise<void> {
  await stage.measure(async () => {
    const options = { viewers: VIEWERS_OF_STREAMS, seconds: effort.seconds, "warm-up": effort.warmUp, awake: true };
    const candidates = [
      { name: "one", target: plain, options },
      { name: "many", target: plain, options: { ...options, streams: STREAMS } },
    ];
    const reports = await interleaved(candidates, effort.rounds);
    const of = (name: string) => (reports.get(name) ?? []).map(us);
    const lost = [...reports.values()].flat().filter((report) => !isWhole(report)).length;
    return [
      ratio({
        id: "fan_out_streams",
        what: `${STREAMS} streams of ${VIEWERS_OF_STREAMS / STREAMS} viewers, over one of ${VIEWERS_OF_STREAMS}: CPU for each delivered chunk`,
        unit: "µs",
        of: of("many"),
        to: of("one"),
        max: 1.1,
        notes: `What the relay reads of the streams is in it; ${lost} runs lost anything.`,
      }),
    ];
  });
}

async function storm(stage: Stage, { plain }: Servers, effort: Effort): Promise<void> {
  await stage.measure(async () => {
    // The crowd comes two seconds into the measured time, for one.
    const options = { viewers: STORM_WATCHERS, storm: STORM, seconds: 5, "warm-up": effort.warmUp };
    const reports =
      (await interleaved([{ name: "relay", target: plain, options }], effort.stormRounds)).get("relay") ?? [];
    const gaps = reports.map(({ gap_ms_max }) => gap_ms_max);
    const firsts = reports.map(({ storm_first_chunk_ms }) => storm_first_chunk_ms?.max ?? Number.POSITIVE_INFINITY);
    const middles = reports.map(({ storm_first_chunk_ms }) => storm_first_chunk_ms?.p50 ?? Number.POSITIVE_INFINITY);
    return [
      {
        id: "fan_out_storm_gap",
        what: `${STORM} viewers join within a second: longest gap of ${STORM_WATCHERS} that watch already`,
        result: spread(gaps, "ms", 0),
        value: median(gaps),
        target: { max: 100, text: "≤ 100 ms" },
        notes: `A chunk comes every 33 ms; ${reports.filter((report) => !isWhole(report)).length} of ${reports.length} runs lost anything.`,
      },
      {
        id: "fan_out_storm_join",
        what: `${STORM} viewers join within a second: until the last of them has its first chunk`,
        result: spread(firsts, "ms", 0),
        value: median(firsts),
        target: { max: 1000, text: "≤ 1 s" },
        notes: `From the begin of its connection on; p50 ${spread(middles, "ms", 0)}.`,
      },
    ];
  });
}

async function stalled(stage: Stage, effort: Effort): Promise<void> {
  // One that has served nobody before: what it has given back and not to the system would hide what it takes.
  const fresh = await relay(stage);
  await stage.measure(async () => {
    const options = { viewers: VIEWERS, stalled: 1, seconds: effort.stalledSeconds, "warm-up": effort.warmUp };
    const report = await load(fresh, options);
    const grown = (report.relay_resident_bytes - report.relay_resident_bytes_begin) / 2 ** 20;
    const sent = (effort.stalledSeconds * CHUNKS_PER_SECOND * 10_420) / 2 ** 20;
    const missed = report.chunks_due - report.chunks_delivered;
    return [
      {
        id: "fan_out_stalled",
        what: `one viewer beside ${VIEWERS} reads nothing for ${effort.stalledSeconds} s: chunks that the others miss`,
        result: `${missed} of ${report.chunks_due}`,
        value: missed + report.skips + report.disorder,
        target: { max: 0, text: "none" },
        notes: `p99 ${p99(report).toFixed(1)} ms, longest gap ${report.gap_ms_max.toFixed(0)} ms.`,
      },
      {
        id: "fan_out_stalled_memory",
        what: "the same: what the relay's memory grows by meanwhile",
        result: `${grown.toFixed(1)} MiB`,
        value: grown,
        // What a window holds of a stream grows until it is full, whoever watches.
        target: { max: sent + 1, text: `≤ ${(sent + 1).toFixed(1)} MiB, the stream itself and 1 MiB` },
        notes: `${sent.toFixed(1)} MiB were sent, of which the relay holds up to 16 MiB for whoever falls behind.`,
      },
    ];
  });
}

export const fanOutPart: Part = {
  name: "fan_out",
  title: "Fan-out on one core, compared with a server that does nothing else",
  about: `The floor is one thread that writes each chunk to each viewer once and does nothing else: no tickets, no bounds, no second stream.
Servers have one core, the load the other; a viewer's time ends with a chunk's last byte and begins when the chunk was planned to be sent.
Where CPU time is compared, the load never sleeps: on one machine whoever writes to a thread that sleeps pays for waking it.`,
  async measure(stage) {
    const effort = stage.quick ? QUICK : FULL;
    const servers: Servers = {
      bare: await floor(stage),
      plain: await relay(stage),
      encrypted: await relay(stage, { tls: await certificate(stage) }),
    };
    const costs = await cost(stage, servers, effort);
    const rows: (() => Promise<void>)[] = [
      () => manyStreams(stage, servers, effort),
      () => storm(stage, servers, effort),
      () => stalled(stage, effort),
      // A search on a whole core takes thousands of viewers, and they their time to join.
      ...(stage.quick ? [] : [() => most(stage, servers, effort, costs)]),
      () => cores(stage, servers, effort, costs),
    ];
    // What one row can't measure is no reason to leave out the next.
    const failures: unknown[] = [];
    for (const row of rows) await row().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new Error(failures.map(String).join("\n"));
  },
};
