// What a chunk costs over WebTransport, beside WebSocket.
import type { Part } from "./part.ts";
import { isWhole, type Load, load, median, p99, type Report, spread, type Target } from "./relay_load.ts";
import { relay } from "./servers.ts";

const VIEWERS = 300;
const ROUNDS = 3;
const ROUNDS_QUICK = 1;
const SECONDS = 10;
const SECONDS_QUICK = 5;
const TRANSPORTS = ["websocket", "webtransport"] as const;

type Transport = (typeof TRANSPORTS)[number];

const us = (report: Report) => report.relay_us_per_chunk;

export const webTransportPart: Part = {
  name: "webtransport",
  title: "CPU of a chunk over WebTransport",
  about: `One stream of 2.5 Mbit/s in 30 chunks/s to ${VIEWERS} viewers, over WebSocket without TLS and over WebTransport, which always encrypts, in
turn; the relay has one core, the load the other. How moq-relay does beside it is measured by the part \`moq\`, when it is asked for.`,
  async measure(stage) {
    const target = await relay(stage);
    const reports: Record<Transport, Report[]> = { websocket: [], webtransport: [] };
    await stage.measure(async () => {
      for (let round = 0; round < (stage.quick ? ROUNDS_QUICK : ROUNDS); round++) {
        for (const transport of round % 2 === 0 ? TRANSPORTS : TRANSPORTS.toReversed()) {
          const over: Target = { ...target, flags: { ...target.flags, transport } };
          const options: Load = { viewers: VIEWERS, seconds: stage.quick ? SECONDS_QUICK : SECONDS, "warm-up": 3 };
          reports[transport].push(await load(over, options));
        }
      }
      const [ws, wt] = [reports.websocket, reports.webtransport];
      const whole = wt.filter(isWhole).length;
      return [
        {
          id: "webtransport_cpu",
          what: `relay over WebTransport, ${VIEWERS} viewers: CPU of a delivered chunk`,
          result: spread(wt.map(us), "µs"),
          value: median(wt.map(us)),
          notes: `WebSocket in the same run ${spread(ws.map(us), "µs")}; p99 ${spread(wt.map(p99), "ms")} against ${spread(ws.map(p99), "ms")}; ${whole} of ${wt.length} runs lost nothing.`,
        },
      ];
    });
  },
};
