// What a relay uses, and how long chunks take, the more viewers there are; beside the floor.
import type { Line } from "./chart.ts";
import type { Finding } from "./figure.ts";
import type { Part } from "./part.ts";
import { isWhole, type Load, load, p99, type Report, serverPercent, type Target } from "./relay_load.ts";
import { certificate, floor, relay } from "./servers.ts";

const VIEWERS = [100, 300, 600, 1000, 2000, 3000];
const VIEWERS_QUICK = [100, 600];
const SECONDS = 3;
const SECONDS_QUICK = 2;
const WARM_UP_SECONDS = 1;

interface Measured {
  target: Target;
  reports: Report[];
  /** Where it lost anything, or could not be loaded at all. */
  failed: number | null;
}

const mib = (report: Report) => report.relay_resident_bytes / 2 ** 20;

/** The slope between the first and the last report: what everything has in common is not in it. */
function memoryPerViewer(first: Report, last: Report): string {
  if (last.viewers === first.viewers) return "";
  const kib = ((mib(last) - mib(first)) * 1024) / (last.viewers - first.viewers);
  return `; ${kib.toFixed(1)} KiB for each viewer more`;
}

/** A run that lost nothing, or none: the caller may try again, for what another program did to one run says nothing of its size. */
async function whole(target: Target, options: Load): Promise<Report | null> {
  const report = await load(target, options).catch(() => null);
  return report && isWhole(report) ? report : null;
}

function findings(all: Measured[]): Finding[] {
  return all.flatMap(({ target: { name }, reports, failed }) => {
    const [first, last] = [reports[0], reports.at(-1)];
    if (!first || !last) return [];
    const end = failed === null ? "nothing was lost" : `with ${failed} viewers something was lost`;
    return [
      {
        id: `capacity_${name.replaceAll(/\W+/g, "_")}`,
        what: `${name}: ${last.viewers} viewers of one stream`,
        result: `${serverPercent(last).toFixed(0)} % of a core, p99 ${p99(last).toFixed(0)} ms, ${mib(last).toFixed(0)} MiB`,
        value: serverPercent(last),
        notes: `${reports.length} sizes from ${first.viewers} viewers on, ${last.seconds} s each; ${end}${memoryPerViewer(first, last)}.`,
      },
    ];
  });
}

export const capacityPart: Part = {
  name: "capacity",
  title: "Viewers against CPU, time and memory",
  about:
    "One stream of 2.5 Mbit/s in 30 chunks/s; the server has one core, the load the other. Up to the size at which chunks are lost twice.",
  async measure(stage) {
    const all: Measured[] = [];
    const tls = await certificate(stage);
    for (const target of [await floor(stage), await relay(stage), await relay(stage, { tls })]) {
      all.push({ target, reports: [], failed: null });
    }
    await stage.measure(async () => {
      for (const viewers of stage.quick ? VIEWERS_QUICK : VIEWERS) {
        for (const each of all) {
          if (each.failed !== null) continue;
          const seconds = stage.quick ? SECONDS_QUICK : SECONDS;
          const options = { viewers, seconds, "warm-up": WARM_UP_SECONDS };
          const report = (await whole(each.target, options)) ?? (await whole(each.target, options));
          if (report) each.reports.push(report);
          else each.failed = viewers;
        }
      }
      return findings(all);
    });
    const x = { label: "viewers" };
    const lines = (value: (report: Report) => number): Line[] =>
      all.map(({ target, reports }) => ({
        name: target.name,
        points: reports.map((report) => [report.viewers, value(report)]),
      }));
    const cpu = { label: "CPU of the server (% of a core)" };
    stage.chart({ id: "capacity_cpu", title: "Viewers against CPU", x, y: cpu, lines: lines(serverPercent) });
    const time = { label: "p99, planned to delivered (ms)" };
    stage.chart({ id: "capacity_p99", title: "Viewers against p99", x, y: time, lines: lines(p99) });
    const memory = { label: "memory of the server (MiB)" };
    stage.chart({ id: "capacity_memory", title: "Viewers against memory", x, y: memory, lines: lines(mib) });
  },
};
