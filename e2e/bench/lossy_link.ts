// A link that loses and delays packets, between this machine and a network namespace where viewers are.
import { join } from "node:path";
import { Program } from "../src/process.ts";
import { BINARIES } from "../src/system.ts";

export interface Weather {
  /** Of a hundred packets, each way. */
  lossPercent: number;
  /** Each way. */
  delayMs: number;
  /** The congestion control of TCP by that link. */
  tcp: string;
}

/** What the link did to packets, one way. */
interface Way {
  passed: number;
  lost: number;
  overflowed: number;
  late_us_max: number;
}

/** What it had carried when it ended. */
export interface Carried {
  to_far: Way;
  to_near: Way;
}

export class LossyLink {
  readonly #program: Program;
  /** The flags of a load whose viewers are behind the link. */
  readonly flags: Record<string, string>;

  private constructor(program: Program, namespace: string, near: string) {
    this.#program = program;
    this.flags = { "viewers-in": namespace, "relay-seen-at": near };
  }

  /** Opens it; a sentence when that can't be done here. */
  static async open({ lossPercent, delayMs, tcp }: Weather): Promise<LossyLink | string> {
    const command = join(BINARIES, "lossy_link");
    const program = new Program("lossy_link", command, [`--loss=${lossPercent}`, `--delay=${delayMs}`, `--tcp=${tcp}`]);
    try {
      const [line] = await program.line(/^\{"far".*\}$/m);
      const { namespace, near } = JSON.parse(line) as { namespace: string; near: string };
      return new LossyLink(program, namespace, near);
    } catch {
      await program.end();
      return program.output.trim().replaceAll(/\s+/g, " ");
    }
  }

  /** Takes it away; gives what it has carried. */
  async close(): Promise<Carried> {
    if (this.#program.running) await this.#program.end();
    const [line] = await this.#program.line(/^\{"to_far".*\}$/m);
    return JSON.parse(line) as Carried;
  }
}

/** "1.98 % of 40,123 packets lost", of both ways together. */
export function lossWords({ to_far, to_near }: Carried): string {
  const lost = to_far.lost + to_near.lost;
  const all = lost + to_far.passed + to_near.passed;
  const overflowed = to_far.overflowed + to_near.overflowed;
  const late = Math.max(to_far.late_us_max, to_near.late_us_max) / 1000;
  const more = overflowed > 0 ? `, ${overflowed} more for lack of room` : "";
  const share = ((100 * lost) / Math.max(1, all)).toFixed(1);
  return `${share} % of ${all.toLocaleString("en")} packets lost${more}, none later than ${late.toFixed(0)} ms beyond the delay`;
}
