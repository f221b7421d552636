// What a relay needs to hand a stream on, as a multiple of what a server needs that does nothing else: the floor.
import { CpuShare } from "./cpu_share.ts";
import type { Finding } from "./figure.ts";
import type { Part } from "./part.ts";
import {
  BOTH_CORES,
  isWhole,
  type Load,
  load,
  loadPercent,
  median,
  p99,
  type Report,
  serverPercent,
  spread,
  type Target,
} from "./relay_load.ts";
import { Search } from "./search.ts";
import { certificate, floor, relay } from "./servers.ts";
import type { Stage } from "./stage.ts";

const VIEWERS = 600;
/** As many streams as the table asks for, and viewers who can be dealt out to them evenly. */
const STREAMS = 64;
const VIEWERS_OF_STREAMS = 640;
const STORM = 500;
const STORM_WATCHERS = 100;

const MOST_P99_MS = 100;
const MOST_VIEWERS_MAX = 12_000;
/** Where the search begins, as a share of what the CPU time of a chunk lets one expect. */
const MOST_FIRST = 0.85;
/** A load that uses more of its cores than this may be what was too slow. */
const LOAD_CALM_PERCENT = 90;

const SHARE = 0.25;
const CHUNKS_PER_SECOND = 30;

/** How long everything takes. */
interface Effort {
  rounds: number;
  seconds: number;
  warmUp: number;
  stormRounds: number;
  stalledSeconds: number;
  search: { seconds: number; growth: number; precision: number; triesMax: number };
}

const FULL: Effort = {
  rounds: 3,
  seconds: 5,
  warmUp: 2,
  stormRounds: 3,
  stalledSeconds: 30,
  search: { seconds: 3, growth: 1.2, precision: 1.1, triesMax: 8 },
};

const QUICK: Effort = {
  rounds: 2,
  seconds: 3,
  warmUp: 1,
  stormRounds: 1,
  stalledSeconds: 5,
  search: { seconds: 2, growth: 1.35, precision: 1.2, triesMax: 5 },
};

const us = (report: Report) => report.relay_us_per_chunk;

interface Candidate {
  /** What it is called in the reports. */
  name: string;
  target: Target;
  options: Load;
}

/**
 * Each candidate in turn, as often as there are rounds, so that what else the machine does meets all of them; the first of a round is
 * another one each time.
 */
async function interleaved(candidates: Candidate[], rounds: number): Promise<Map<string, Report[]>> {
  const reports = new Map<string, Report[]>(candidates.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const candidate = candidates[(round + turn) % candidates.length];
      if (candidate) reports.get(candidate.name)?.push(await load(candidate.target, candidate.options));
    }
  }
  return reports;
}

/** The end of a search. */
interface Most {
  viewers: number;
  /** Of the most that was good. */
  report: Report | null;
  /** What the least that was bad came to. */
  limit: string;
}

function describe(report: Report): string {
  const lost = report.chunks_due - report.chunks_delivered;
  const shares = `${serverPercent(report).toFixed(0)} % of a core, the load ${loadPercent(report).toFixed(0)} %`;
  return `p99 ${p99(report).toFixed(0)} ms, ${lost === 0 ? "nothing lost" : `${lost} chunks lost`}, ${shares}`;
}

/** The most viewers that all get everything in time, of each candidate: their searches take turns. */
async function mostViewers(
  candidates: (Candidate & { first: number })[],
  effort: Effort["search"],
): Promise<Map<string, Most>> {
  const searches = candidates.map((candidate) => {
    const { growth, precision, triesMax } = effort;
    const options = { first: candidate.first, growth, precision, max: MOST_VIEWERS_MAX, triesMax };
    const most: Most = { viewers: 0, report: null, limit: "none was too many" };
    return { ...candidate, search: new Search(options), most, bad: Number.POSITIVE_INFINITY };
  });
  while (searches.some(({ search }) => search.next !== null)) {
    for (const each of searches) {
      const viewers = each.search.next;
      if (viewers === null) continue;
      const options = { ...each.options, viewers, seconds: effort.seconds };
      const answer = await load(each.target, options).catch((error: { stderr?: string }) => reason(error));
      const isGood = typeof answer !== "string" && isWhole(answer) && p99(answer) <= MOST_P99_MS;
      each.search.tell(isGood);
      if (isGood && viewers > each.most.viewers) each.most = { ...each.most, viewers, report: answer };
      if (!isGood && viewers < each.bad) {
        each.bad = viewers;
        each.most.limit = `${viewers}: ${typeof answer === "string" ? answer : describe(answer)}`;
      }
    }
  }
  return new Map(searches.map(({ name, most }) => [name, most]));
}

/** Why a load could not be put on, in its own words. */
function reason(error: { stderr?: string }): string {
  const lines = (error.stderr ?? String(error)).split("\n").map((line) => line.trim());
  const end = lines.findIndex((line) => line.startsWith("Stack backtrace"));
  return lines
    .slice(0, end < 0 ? 3 : end)
    .filter(Boolean)
    .join(" ")
    .slice(0, 200);
}

/** How many viewers the CPU time of a chunk lets one expect on `share` of a core. */
const expected = (microseconds: number, share: number) =>
  Math.round((share * 1e6) / (CHUNKS_PER_SECOND * microseconds));

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

/** What a figure is whose machine can't measure it. */
function impossible(id: string, what: string, why: string): Finding {
  return { id, what, result: "not measured", value: 0, notes: `${why}.` };
}

interface Servers {
  bare: Target;
  plain: Target;
  encrypted: Target;
}

/** Gives the CPU time of each chunk at the floor and at the relay, for what comes next. */
async function cost(stage: Stage, servers: Servers, effort: Effort): Promise<{ bare: number; plain: number }> {
  const { bare, plain, encrypted } = servers;
  const found = { bare: Number.NaN, plain: Number.NaN };
  await stage.measure(async () => {
    const options = { viewers: VIEWERS, seconds: effort.seconds, "warm-up": effort.warmUp };
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
    const options = { viewers: VIEWERS_OF_STREAMS, seconds: effort.seconds, "warm-up": effort.warmUp };
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

const MOST = `the most viewers that get everything with p99 ≤ ${MOST_P99_MS} ms`;

function mostFinding(o: { floors: Most; relays: Most; where: string; loadCores: number }): Finding {
  if (o.floors.viewers === 0) throw new Error(`${MOST}: the floor serves none in time; ${o.floors.limit}`);
  // What serves nobody is far from any target, and still a number.
  const share = Math.max(o.relays.viewers, 1) / o.floors.viewers;
  const words = ({ viewers, report, limit }: Most) =>
    `${viewers} viewers (${report ? describe(report) : "none were served"}), too many were ${limit}`;
  const full = o.relays.report && loadPercent(o.relays.report) / o.loadCores > LOAD_CALM_PERCENT;
  return {
    id: "fan_out_most",
    what: `${MOST} ${o.where}: the relay's over the floor's`,
    result: `${full ? "at least " : ""}${share.toFixed(2)} ×`,
    // Held against the target as its inverse: less is better in every row.
    value: 1 / share,
    target: { max: 1 / 1.4, text: "≥ 1.4 ×" },
    notes: `Relay: ${words(o.relays)}. Floor: ${words(o.floors)}.${full ? " The load's own core was full: the relay may manage more." : ""}`,
  };
}

/** The search on the whole core that servers have. */
async function most(stage: Stage, { bare, plain }: Servers, effort: Effort, costs: { bare: number; plain: number }) {
  await stage.measure(async () => {
    const options = { viewers: 0, seconds: 0, "warm-up": 1 };
    const found = await mostViewers(
      [
        { name: "floor", target: bare, options, first: Math.round(MOST_FIRST * expected(costs.bare, 1)) },
        { name: "relay", target: plain, options, first: Math.round(MOST_FIRST * expected(costs.plain, 1)) },
      ],
      effort.search,
    );
    const [floors, relays] = [found.get("floor"), found.get("relay")];
    return floors && relays ? [mostFinding({ floors, relays, where: "on one core", loadCores: 1 })] : [];
  });
}

/**
 * One core against two, where the machine has no more than two and the load needs its own: each server core is a quarter of a core,
 * and the load has what is left of both.
 */
async function cores(stage: Stage, { bare, plain }: Servers, effort: Effort, costs: { bare: number; plain: number }) {
  const what = `${MOST}: on a quarter of each of two cores, over a quarter of one`;
  const wide = await relay(stage, { threads: 2 });
  const shares: CpuShare[] = [];
  stage.atEnd(() => lift(shares));
  const places: [Target, number[]][] = [
    [plain, [1]],
    [wide, [1, 0]],
    ...(stage.quick ? ([[bare, [1]]] as [Target, number[]][]) : []),
  ];
  for (const [{ pid }, on] of places) {
    const share = await CpuShare.of(pid, SHARE, on);
    if (typeof share === "string") {
      await stage.measure(async () => [impossible("fan_out_cores", what, share)]);
      return;
    }
    shares.push(share);
  }
  await stage.measure(async () => {
    const candidate = (name: string, target: Target, microseconds: number, on: number) => ({
      name,
      target: { ...target, loadCores: BOTH_CORES },
      options: { viewers: 0, seconds: 0, "warm-up": 1, threads: 2 },
      first: Math.round(MOST_FIRST * expected(microseconds, SHARE * on)),
    });
    const found = await mostViewers(
      [
        ...(stage.quick ? [candidate("floor", bare, costs.bare, 1)] : []),
        candidate("one", plain, costs.plain, 1),
        candidate("two", wide, costs.plain, 2),
      ],
      effort.search,
    );
    const [floors, one, two] = [found.get("floor"), found.get("one"), found.get("two")];
    const findings: Finding[] = [];
    if (floors && one) {
      findings.push(mostFinding({ floors, relays: one, where: "on a quarter of a core", loadCores: 2 - SHARE }));
    }
    if (one && two) {
      if (one.viewers === 0) throw new Error(`${what}: one serves none in time; ${one.limit}`);
      const share = Math.max(two.viewers, 1) / one.viewers;
      const words = ({ viewers, report, limit }: Most) =>
        `${viewers} viewers (${report ? `${us(report).toFixed(1)} µs for each chunk, ${describe(report)}` : "none were served"}), too many were ${limit}`;
      findings.push({
        id: "fan_out_cores",
        what,
        result: `${share.toFixed(2)} ×`,
        value: 1 / share,
        target: { max: 1 / 1.8, text: "≥ 1.8 ×" },
        notes: `Two: ${words(two)}. One: ${words(one)}. Each thread has a quarter of one core's time in every 10 ms (cgroup quota) and stays there; the load has the rest of both cores. A thread that has used up its share may hold what the other waits for, which does not happen on two whole cores.`,
      });
    }
    return findings;
  });
  await lift(shares);
}

async function lift(shares: CpuShare[]): Promise<void> {
  for (let share = shares.pop(); share; share = shares.pop()) await share.lift();
}

export const fanOutPart: Part = {
  name: "fan_out",
  title: "Fan-out on one core, compared with a server that does nothing else",
  about: `The floor is one thread that writes each chunk to each viewer once and does nothing else: no tickets, no bounds, no second stream.
Servers have one core, the load the other; a viewer's time ends with a chunk's last byte and begins when the chunk was planned to be sent.`,
  async measure(stage) {
    const effort = stage.quick ? QUICK : FULL;
    const servers: Servers = {
      bare: await floor(stage),
      plain: await relay(stage),
      encrypted: await relay(stage, { tls: await certificate(stage) }),
    };
    const costs = await cost(stage, servers, effort);
    await manyStreams(stage, servers, effort);
    await storm(stage, servers, effort);
    await stalled(stage, effort);
    // A search on a whole core takes thousands of viewers, and they their time to join.
    if (!stage.quick) await most(stage, servers, effort, costs);
    await cores(stage, servers, effort, costs);
  },
};
