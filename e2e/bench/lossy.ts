// How late chunks are behind a link that loses and delays packets, over both transports at once.
import type { Line } from "./chart.ts";
import type { Finding } from "./figure.ts";
import { type Carried, LossyLink, lossWords, type Weather } from "./lossy_link.ts";
import type { Part } from "./part.ts";
import { load, median, type Report, spread } from "./relay_load.ts";
import type { Stage } from "./stage.ts";

/**
 * The links of the target. "40 ms" may be meant there and back or each way: both are measured. TCP has what Linux has by default, and what an
 * operator may give it; QUIC has its own.
 */
const LINKS = [
  { delayMs: 20, tcp: "cubic" },
  { delayMs: 40, tcp: "cubic" },
  { delayMs: 20, tcp: "bbr" },
] as const;
type Link = (typeof LINKS)[number];
/** That of the drawing. */
const DRAWN: Link = LINKS[0];
/** What the target is for. */
const LOSS_PERCENT = 2;
const LOSSES = [0, 1, 2, 5];
const VIEWERS = 10;
const CHUNKS_PER_SECOND = 30;
const SEGMENT_SECONDS = 2;
const ROUNDS = 3;
/** Of each run: 3,000 chunks over each transport. All runs together take less than four minutes. */
const SECONDS = 10;
const TRANSPORTS = ["websocket", "webtransport"] as const;
/** At the live edge at most so much of what WebSocket takes. */
const SHARE_MAX = 0.5;

type Transport = (typeof TRANSPORTS)[number];

/** Both transports over one link, at the same time. */
interface Run {
  weather: Weather;
  /** None where a viewer was cut off. */
  reports: Partial<Record<Transport, Report>>;
  broken: string[];
  carried: Carried;
}

const NAMES: Record<Transport, string> = { websocket: "WebSocket", webtransport: "WebTransport" };

const p50 = (report: Report) => report.latency_ms?.p50 ?? Number.POSITIVE_INFINITY;
const p95 = (report: Report) => report.latency_ms?.p95 ?? Number.POSITIVE_INFINITY;

/** Of what was sent, in percent. */
const leftOut = (report: Report) => (100 * (report.chunks_due - report.chunks_delivered)) / report.chunks_due;

async function over(url: string, pid: number, weather: Weather, seconds: number): Promise<Run | string> {
  const link = await LossyLink.open(weather);
  if (typeof link === "string") return link;
  try {
    const one = (transport: Transport) =>
      load(
        { name: NAMES[transport], pid, flags: { ...link.flags, directory: url, transport } },
        {
          viewers: VIEWERS,
          seconds,
          rate: CHUNKS_PER_SECOND,
          "key-interval": SEGMENT_SECONDS * CHUNKS_PER_SECOND,
          "warm-up": 4,
        },
      );
    const settled = await Promise.allSettled(TRANSPORTS.map(one));
    const reports: Run["reports"] = {};
    const broken: string[] = [];
    for (const [n, transport] of TRANSPORTS.entries()) {
      const result = settled[n];
      if (result?.status === "fulfilled") reports[transport] = result.value;
      else broken.push(`${NAMES[transport]} broke: ${reason(result?.reason)}`);
    }
    return { weather, reports, broken, carried: await link.close() };
  } finally {
    await link.close();
  }
}

/** What the load says, without its command and its traces. */
const reason = (error: unknown) => /^Error: (?!Command failed)(.*)$/m.exec(String(error))?.[1] ?? "for no known reason";

function words(run: Run, transport: Transport): string[] {
  const report = run.reports[transport];
  if (!report) return [];
  const { p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN } = report.latency_ms ?? {};
  return [
    `${NAMES[transport]} p50 ${p50.toFixed(0)}, p95 ${p95.toFixed(0)}, p99 ${p99.toFixed(0)} ms, ${leftOut(report).toFixed(2)} % of the chunks left out`,
  ];
}

/** "2 % loss, 40 ms there and back, TCP with CUBIC" */
const named = ({ lossPercent, delayMs, tcp }: Weather) =>
  `${lossPercent} % loss, ${2 * delayMs} ms there and back, TCP with ${tcp.toUpperCase()}`;

/** What came out behind a link that the target is for. */
function findings(all: Run[], link: Link): Finding[] {
  const weather = { lossPercent: LOSS_PERCENT, ...link };
  const runs = all.filter((run) => named(run.weather) === named(weather));
  if (runs.length === 0) return [];
  const id = `${2 * link.delayMs}_${link.tcp}`;
  const of = (transport: Transport, value: (report: Report) => number) =>
    runs.flatMap(({ reports }) => reports[transport] ?? []).map(value);
  const shares = runs.flatMap(({ reports: { websocket, webtransport } }) =>
    websocket && webtransport ? [p95(webtransport) / p95(websocket)] : [],
  );
  const rounds = runs.map(
    (run, n) =>
      `run ${n + 1}: ${[...TRANSPORTS.flatMap((one) => words(run, one)), ...run.broken].join("; ")}; ${lossWords(run.carried)}`,
  );
  const measured = TRANSPORTS.filter((transport) => of(transport, p95).length > 0);
  const rows = measured.map((transport) => ({
    id: `lossy_${transport}_${id}`,
    what: `${NAMES[transport]} behind ${named(weather)}`,
    result: `p50 ${spread(of(transport, p50), "ms", 0)}, p95 ${spread(of(transport, p95), "ms", 0)}`,
    value: median(of(transport, p95)),
    notes: `${spread(of(transport, leftOut), "%", 2)} of the chunks left out; ${VIEWERS} viewers; ${of(transport, p95).length} of ${runs.length} runs, in any other a viewer was cut off.`,
  }));
  const share: Finding = {
    id: `lossy_share_${id}`,
    what: `${named(weather)}: WebTransport's p95 as a share of WebSocket's`,
    // Who is cut off has no latency: WebTransport alone is a share of nothing.
    result: shares.length > 0 ? spread(shares, "x", 2) : `${measured.map((one) => NAMES[one]).join()} alone held out`,
    value: shares.length > 0 ? median(shares) : of("webtransport", p95).length > 0 ? 0 : Number.MAX_VALUE,
    target: { max: SHARE_MAX, text: `at most ${SHARE_MAX} x` },
    notes: `${rounds.join(". ")}.`,
  };
  return [...rows, share];
}

function notMeasured(weather: Weather, why: string): Finding {
  const id = `lossy_not_measured_${2 * weather.delayMs}_${weather.tcp}`;
  return { id, what: named(weather), result: "not measured", value: 0, notes: `${why}.` };
}

/** The links in the order they are measured in: those of the target in several runs, which take turns. */
function plan(stage: Stage): Weather[] {
  const rounds = Array.from({ length: stage.quick ? 1 : ROUNDS }, () => LINKS);
  const ofTarget = rounds.flat().map((link) => ({ lossPercent: LOSS_PERCENT, ...link }));
  const losses = stage.quick ? [] : LOSSES.filter((lossPercent) => lossPercent !== LOSS_PERCENT);
  return [...ofTarget, ...losses.map((lossPercent) => ({ lossPercent, ...DRAWN }))];
}

export const lossyPart: Part = {
  name: "lossy",
  title: "Loss of packets against latency",
  about: `Viewers in a network namespace behind a link that loses packets at random, each way, and delays all others by the same time,
each way; nothing limits its speed. TCP's congestion control is the one that a row names: the routes by the link lock it, at both ends, whatever a
program asks for. QUIC's is the relay's own. ${VIEWERS} viewers over WebSocket and ${VIEWERS} over WebTransport at the same time, each
with a stream of 2.5 Mbit/s in 30 chunks/s and segments of ${SEGMENT_SECONDS} s, whose broadcaster is beside the relay. From the planned moment of a
chunk to its last byte at a viewer, in its order, over all chunks that came; what was left out to stay at the live edge is told beside.`,
  async measure(stage) {
    const relayFlags = ["--viewers-max", "20000", "--streams-max", "256"];
    const system = await stage.system({ relays: 1, everywhere: true, relayFlags });
    const pid = system.relays[0]?.program.pid;
    if (pid === undefined) throw new Error("no relay");
    const runs: Run[] = [];
    const missing = new Map<string, Finding>();
    await stage.measure(async () => {
      for (const weather of plan(stage)) {
        const run = await over(system.url, pid, weather, SECONDS);
        if (typeof run === "string") missing.set(named(weather), notMeasured(weather, run));
        else runs.push(run);
      }
      return [...LINKS.flatMap((link) => findings(runs, link)), ...missing.values()];
    });
    const drawn = runs.filter(({ weather }) => weather.delayMs === DRAWN.delayMs && weather.tcp === DRAWN.tcp);
    const losses = [...new Set(drawn.map(({ weather }) => weather.lossPercent))].sort((a, b) => a - b);
    if (losses.length < 2) return;
    const line = (transport: Transport, name: string, value: (report: Report) => number): Line => ({
      name: `${NAMES[transport]}, ${name}`,
      points: losses.flatMap((loss): [number, number][] => {
        const there = drawn.filter(({ weather }) => weather.lossPercent === loss);
        const values = there.flatMap(({ reports }) => reports[transport] ?? []).map(value);
        return values.length > 0 ? [[loss, median(values)]] : [];
      }),
    });
    stage.chart({
      id: "lossy_latency",
      title: `Loss against latency, ${2 * DRAWN.delayMs} ms there and back`,
      x: { label: "packets lost (%)" },
      y: { label: "planned to delivered (ms)", logarithmic: true },
      lines: TRANSPORTS.flatMap((transport) => [line(transport, "p50", p50), line(transport, "p95", p95)]),
    });
  },
};
