// What a chunk costs over WebTransport, side by side with moq-relay.
import type { Finding } from "./figure.ts";
import { build, MOQ_RELAY_VERSION, type MoqReport, type MoqSettings, moqLoad, moqRelay } from "./moq_relay.ts";
import type { Part } from "./part.ts";
import { LOAD_CORE, type Load, load, median, p99, spread, type Target } from "./relay_load.ts";
import { relay } from "./servers.ts";

const VIEWERS = [100, 200];
const VIEWERS_QUICK = [100];
const ROUNDS = 5;
const ROUNDS_QUICK = 2;
const SECONDS = 10;
const SECONDS_QUICK = 5;
const WARM_UP_SECONDS = 3;
const CHUNKS_PER_SECOND = 30;
const CHUNK_BYTES = 10_400;
/** What our own chunks have before their payload: the others get the same bytes in all. */
const HEADER_BYTES = 20;
/** Two seconds. */
const KEY_INTERVAL = 60;
/** So much of what moq-relay takes at most. */
const SHARE_MAX = 0.5;

/**
 * moq-relay as it comes sends 1200 bytes in a packet. Ours finds out what the path takes, up to 1452 bytes; so does moq-relay when it is told
 * to, and then it has fewer packets to send.
 */
const SETTINGS = { default: {}, alike: { "quic-mtu-discovery": "true" } } satisfies Record<string, MoqSettings>;
type Setting = keyof typeof SETTINGS;
const WORDS: Record<Setting, string> = { default: "as it comes", alike: "with packets as large as ours" };

const SYSTEMS = ["ours", "default", "alike"] as const;
type System = (typeof SYSTEMS)[number];

const us = (report: MoqReport) => report.relay_us_per_chunk;
const leftOut = (report: MoqReport) => report.chunks_due - report.chunks_delivered + report.missing + report.disorder;

function more(all: MoqReport[]): string {
  const whole = all.filter((report) => leftOut(report) === 0).length;
  return `${spread(all.map(us), "µs")}, p99 ${spread(all.map(p99), "ms")}, ${whole} of ${all.length} runs lost nothing`;
}

/** Each round's own ratio: what disturbs the machine disturbs both of a round. */
function findings(viewers: number, reports: Record<System, MoqReport[]>): Finding[] {
  return (Object.keys(SETTINGS) as Setting[]).map((setting) => {
    const shares = reports.ours.flatMap((report, round) => {
      const other = reports[setting][round];
      return other ? [us(report) / us(other)] : [];
    });
    return {
      id: `moq_share_${setting}_${viewers}`,
      what: `${viewers} viewers over WebTransport: CPU of a delivered chunk as a share of moq-relay's (${WORDS[setting]})`,
      result: spread(shares, "x", 2),
      value: median(shares),
      target: { max: SHARE_MAX, text: `at most ${SHARE_MAX} x` },
      notes: `relay ${more(reports.ours)}; moq-relay ${MOQ_RELAY_VERSION} ${more(reports[setting])}.`,
    };
  });
}

export const moqPart: Part = {
  name: "moq",
  title: "Side by side with moq-relay",
  about: `The same stream, 2.5 Mbit/s in ${CHUNKS_PER_SECOND} chunks/s with a segment every two seconds, to as many viewers over
WebTransport, by this relay and by moq-relay ${MOQ_RELAY_VERSION} in turn. Both have one thread on one core, the load the other core, and each viewer
has a UDP socket of its own. CPU is user and system time of the relay's process for each chunk that came. Alike: optimised builds with thin LTO, glibc's
allocator, TLS_AES_256_GCM_SHA384 by AWS-LC (the clients ask for it first), a QUIC library of one origin (quinn, and moq-relay's fork of it), UDP
segmentation offload, BBR (moq-relay's is the third version). Different: the load's own client library and protocol, and what else either relay does for
a viewer. moq-relay is measured as it comes, with 1200 bytes in a packet, and with packets as large as this relay's. It is measured only
when it is asked for by its name, since it is built first.`,
  byNameAlone: true,
  async measure(stage) {
    await build();
    const target = await relay(stage);
    const over: Target = { ...target, flags: { ...target.flags, transport: "webtransport" } };
    const others = {
      default: await moqRelay(stage, SETTINGS.default),
      alike: await moqRelay(stage, SETTINGS.alike),
    } satisfies Record<Setting, unknown>;
    for (const viewers of stage.quick ? VIEWERS_QUICK : VIEWERS) {
      await stage.measure(async () => {
        const reports: Record<System, MoqReport[]> = { ours: [], default: [], alike: [] };
        const size = { viewers, seconds: stage.quick ? SECONDS_QUICK : SECONDS, "warm-up": WARM_UP_SECONDS };
        const options = { ...size, rate: CHUNKS_PER_SECOND, "chunk-bytes": CHUNK_BYTES, "key-interval": KEY_INTERVAL };
        const measure = (system: System): Promise<MoqReport> =>
          system === "ours"
            ? load(over, options satisfies Load)
            : moqLoad(others[system], { ...options, "chunk-bytes": CHUNK_BYTES + HEADER_BYTES }, LOAD_CORE);
        for (let round = 0; round < (stage.quick ? ROUNDS_QUICK : ROUNDS); round++) {
          for (const system of round % 2 === 0 ? SYSTEMS : SYSTEMS.toReversed()) {
            reports[system].push(await measure(system));
          }
        }
        return findings(viewers, reports);
      });
    }
  },
};
