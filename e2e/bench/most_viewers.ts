// The most viewers that a server serves in time: a relay's over the floor's, and two cores' over one's.
import { CpuShare } from "./cpu_share.ts";
import type { Finding } from "./figure.ts";
import { BOTH_CORES, isWhole, load, loadPercent, p99, type Report, serverPercent, type Target } from "./relay_load.ts";
import { type Candidate, CHUNKS_PER_SECOND, type Effort, type Servers, us } from "./rounds.ts";
import { Search } from "./search.ts";
import { relay } from "./servers.ts";
import type { Stage } from "./stage.ts";

/** What is in time. */
const MOST_P99_MS = 100;

/** Below the load's own bound, and far above what a core serves. */
const MOST_VIEWERS_MAX = 12_000;

/** Where the search begins, as a share of what the CPU time of a chunk lets one expect. */
const MOST_FIRST = 0.85;

/** A load that uses more of its cores than this may be what was too slow. */
const LOAD_CALM_PERCENT = 90;

/** What a server has of a core in place of the whole: the load needs the rest. */
const SHARE = 0.25;

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
export async function most(
  stage: Stage,
  { bare, plain }: Servers,
  effort: Effort,
  costs: { bare: number; plain: number },
) {
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
export async function cores(
  stage: Stage,
  { bare, plain }: Servers,
  effort: Effort,
  costs: { bare: number; plain: number },
) {
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

/** What a figure is whose machine can't measure it. */
function impossible(id: string, what: string, why: string): Finding {
  return { id, what, result: "not measured", value: 0, notes: `${why}.` };
}
