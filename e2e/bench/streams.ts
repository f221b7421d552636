// How fast a relay hands streams on, the more of them there are at once: average and slowest forwarding speed, longest forwarding time.
import type { Line } from "./chart.ts";
import { CpuShare } from "./cpu_share.ts";
import type { Finding } from "./figure.ts";
import type { Part } from "./part.ts";
import { isWhole, type Load, load, type Report } from "./relay_load.ts";
import { relay } from "./servers.ts";

const STREAMS = [1, 2, 4, 8, 16, 32, 64];
const STREAMS_QUICK = [1, 8, 64];
const VIEWERS_OF_STREAM = 2;
const BYTES_PER_SECOND = 300_000;
const SHARE = 0.25;
const SERVER_CORES = [1];

/** How a stream is cut. */
interface Cut {
  name: string;
  id: string;
  flags: Omit<Load, "viewers">;
}

const segments = (seconds: number): Cut => ({
  name: `segments of ${seconds} s`,
  id: "segments",
  flags: {
    rate: 1 / seconds,
    "chunk-bytes": BYTES_PER_SECOND * seconds,
    "key-interval": 1,
    // Each stream sends one meanwhile.
    seconds,
    "warm-up": 1,
  },
});

const frames = (seconds: number): Cut => ({
  name: "a chunk for each frame",
  id: "frames",
  flags: { rate: 30, "chunk-bytes": BYTES_PER_SECOND / 30, "key-interval": 60, seconds, "warm-up": 1 },
});

/** One line of the drawings. */
interface Row {
  cut: Cut;
  share: number;
  reports: Report[];
}

const average = (report: Report) => report.forwarding_kb_per_s?.average ?? Number.NaN;
const slowest = (report: Report) => report.forwarding_kb_per_s?.slowest ?? Number.NaN;
const longest = (report: Report) => report.latency_ms?.max ?? Number.NaN;

const where = (share: number) => (share === 1 ? "one core" : "a quarter of a core");
const speed = (kbPerSecond: number) => `${Math.round(kbPerSecond).toLocaleString("en")} kB/s`;

function finding({ cut, share, reports }: Row): Finding[] {
  const [first, last] = [reports[0], reports.at(-1)];
  if (!first || !last) return [];
  const words = (report: Report) =>
    `${report.streams}: ${speed(average(report))}, slowest ${speed(slowest(report))}, longest ${longest(report).toFixed(1)} ms`;
  const lost = reports.filter((report) => !isWhole(report)).map(({ streams }) => streams);
  return [
    {
      id: `streams_${cut.id}_${share === 1 ? "core" : "quarter"}`,
      what: `${last.streams} streams in ${cut.name} on ${where(share)}: forwarding`,
      result: `${speed(average(last))} on average, ${speed(slowest(last))} at the slowest, ${longest(last).toFixed(1)} ms at the longest`,
      value: longest(last),
      notes: `${reports.map(words).join("; ")}; ${lost.length === 0 ? "nothing was lost" : `something was lost with ${lost.join(", ")} streams`}; sent late by p99 ${last.publisher_late_ms?.p99.toFixed(1)} ms itself.`,
    },
  ];
}

export const streamsPart: Part = {
  name: "streams",
  title: "Concurrent streams against the speed of forwarding",
  about: `Streams of 2.4 Mbit/s with ${VIEWERS_OF_STREAM} viewers each, sent evenly over time. A speed is the bytes of a segment or chunk over the time
from its planned moment of sending to its last byte at a viewer, both ways over the loopback included. The relay has one core or a
quarter of one (a cgroup's quota of 2.5 ms in every 10 ms), the load the other core.`,
  async measure(stage) {
    const target = await relay(stage);
    const cuts = stage.quick ? [segments(4), frames(1)] : [segments(10), frames(3)];
    const rows: Row[] = [1, SHARE].flatMap((share) => cuts.map((cut) => ({ cut, share, reports: [] })));
    let without = "";
    await stage.measure(async () => {
      for (const streams of stage.quick ? STREAMS_QUICK : STREAMS) {
        for (const { cut, share, reports } of rows) {
          const limited = share === 1 ? null : await CpuShare.of(target.pid, share, SERVER_CORES);
          if (typeof limited === "string") {
            without = limited;
            continue;
          }
          try {
            reports.push(await load(target, { ...cut.flags, streams, viewers: VIEWERS_OF_STREAM * streams }));
          } finally {
            await limited?.lift();
          }
        }
      }
      const missing: Finding[] = without
        ? [
            {
              id: "streams_quarter",
              what: "on a quarter of a core",
              result: "not measured",
              value: 0,
              notes: `${without}.`,
            },
          ]
        : [];
      return [...rows.flatMap(finding), ...missing];
    });
    const x = { label: "concurrent streams", logarithmic: true };
    const lines = (value: (report: Report) => number): Line[] =>
      rows
        .filter(({ reports }) => reports.length > 0)
        .map(({ cut, share, reports }) => ({
          name: `${cut.name}, ${where(share)}`,
          points: reports.map((report) => [report.streams, value(report)]),
        }));
    const kb = { label: "kB/s", logarithmic: true };
    stage.chart({ id: "streams_average", title: "Average forwarding speed", x, y: kb, lines: lines(average) });
    stage.chart({ id: "streams_slowest", title: "Slowest forwarding speed", x, y: kb, lines: lines(slowest) });
    const ms = { label: "ms" };
    stage.chart({ id: "streams_longest", title: "Maximum forwarding time", x, y: ms, lines: lines(longest) });
  },
};
