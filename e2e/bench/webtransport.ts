// What a chunk costs over WebTransport, beside WebSocket.
import type { Part } from "./part.ts";
import { isWhole, type Load, load, median, p99, type Report, spread, type Target } from "./relay_load.ts";
import { relay } from "./servers.ts";

const VIEWERS = 300;
const ROUNDS = 3;
const ROUNDS_QUICK = 1;
const SECONDS = 10;
const SECONDS_QUICK = 4;
const TRANSPORTS = ["websocket", "webtransport"] as const;

/**
 * What moq-relay took for a chunk over QUIC on a machine of this kind (10.4 kB chunks, one core). It was measured once, not in
 * the same run.
 */
const MOQ_RELAY_US = 69;

type Transport = (typeof TRANSPORTS)[number];

const us = (report: Report) => report.relay_us_per_chunk;

export const webTransportPart: Part = {
  name: "webtransport",
  title: "CPU of a chunk over WebTransport",
  about: `One stream of 2.5 Mbit/s in 30 chunks/s to ${VIEWERS} viewers, over WebSocket and over WebTransport in turn; the relay has one core, the
load the other. The target is held against what moq-relay took on a machine of this kind when it was measured (${MOQ_RELAY_US} µs over QUIC), not against
a run beside this one.`,
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
      const max = MOQ_RELAY_US / 2;
      return [
        {
          id: "webtransport_cpu",
          what: `relay over WebTransport, ${VIEWERS} viewers: CPU of a delivered chunk`,
          result: spread(wt.map(us), "µs"),
          value: median(wt.map(us)),
          target: { max, text: `at most ${max} µs` },
          notes: `WebSocket in the same run ${spread(ws.map(us), "µs")}; p99 ${spread(wt.map(p99), "ms")} against ${spread(ws.map(p99), "ms")}; ${whole} of ${wt.length} runs lost nothing; half of ${MOQ_RELAY_US} µs, which moq-relay took when it was measured earlier.`,
        },
      ];
    });
  },
};
