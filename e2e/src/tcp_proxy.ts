// A TCP proxy with weather before a server: the program `stage-proxy`, which the Rust tests use as a library.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { BINARIES } from "./system.ts";

/** What went through a proxy. */
export interface Tally {
  connections: number;
  open: number;
  up_bytes: number;
  down_bytes: number;
}

/** One direction of the weather. What is not named stays as it is. */
export interface Way {
  delay_ms?: number;
  /** 0 is no bound. */
  bytes_per_second?: number;
  black_hole?: boolean;
}

/** What the proxy is told; what is not named stays as it is. */
export interface Weather {
  /** From clients to the server. */
  up?: Way;
  /** From the server to clients. */
  down?: Way;
  /** Up to this much later, each connection by an amount of its own: their bytes overtake each other's. */
  reorder_ms?: number;
  refusing?: boolean;
  cut?: boolean;
}

export class TcpProxy {
  readonly #program: ChildProcessByStdio<Writable, Readable, null>;
  readonly #port: number;
  readonly #waiting: ((answer: Tally & { error?: string }) => void)[] = [];
  /** Every connection that was ever made through the proxy. */
  connections = 0;

  private constructor(
    program: ChildProcessByStdio<Writable, Readable, null>,
    lines: AsyncIterable<string>,
    port: number,
  ) {
    this.#program = program;
    this.#port = port;
    // Where it has ended there is nothing left to change.
    program.stdin.on("error", () => {});
    void this.#read(lines);
  }

  /** A proxy on a free port in front of `127.0.0.1:targetPort`. */
  static async before(targetPort: number): Promise<TcpProxy> {
    const command = join(BINARIES, "stage-proxy");
    if (!existsSync(command)) throw new Error(`${command} is not there; build it with \`cargo build -p stage\``);
    const program = spawn(command, [`127.0.0.1:${targetPort}`], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error("the proxy has not started");
    const { listen } = JSON.parse(first.value) as { listen: string };
    return new TcpProxy(program, { [Symbol.asyncIterator]: () => lines }, Number(listen.split(":").pop()));
  }

  get port(): number {
    return this.#port;
  }

  /** Breaks every connection that is open. */
  cut(): void {
    this.#tell({ cut: true });
  }

  /** Refuses new connections, or takes them again. */
  refuse(refusing: boolean): void {
    this.#tell({ refusing });
  }

  /** Bounds what flows to clients, for the connections that are open and those to come. */
  throttle(bytesPerSecond: number): void {
    this.#tell({ down: { bytes_per_second: bound(bytesPerSecond) } });
  }

  /** Bounds what flows to the server. */
  throttleUp(bytesPerSecond: number): void {
    this.#tell({ up: { bytes_per_second: bound(bytesPerSecond) } });
  }

  /** Makes bytes late, in each direction by itself. */
  delay({ upMs, downMs }: { upMs?: number; downMs?: number }): void {
    this.#tell({
      ...(upMs === undefined ? {} : { up: { delay_ms: upMs } }),
      ...(downMs === undefined ? {} : { down: { delay_ms: downMs } }),
    });
  }

  /** Lets nothing through, silently, or everything again. */
  blackHole(black_hole: boolean): void {
    this.#tell({ up: { black_hole }, down: { black_hole } });
  }

  /** Changes the weather; resolves when it is so, with what went through until then. */
  async change(weather: Weather): Promise<Tally> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push((answer) => (answer.error === undefined ? resolve(answer) : reject(new Error(answer.error))));
      this.#program.stdin.write(`${JSON.stringify(weather)}\n`);
    });
  }

  /** Changes the weather, in order with all other changes. */
  #tell(weather: Weather): void {
    this.change(weather).catch(() => {});
  }

  /** What went through. */
  async tally(): Promise<Tally> {
    return await this.change({});
  }

  async close(): Promise<void> {
    if (this.#program.exitCode !== null || this.#program.signalCode !== null) return;
    const ended = once(this.#program, "exit");
    this.#program.stdin.end();
    await ended;
  }

  async #read(lines: AsyncIterable<string>): Promise<void> {
    for await (const line of lines) {
      const told = JSON.parse(line) as Tally & { error?: string };
      this.connections = told.connections ?? this.connections;
      // A line that only counts connections answers nothing.
      if (told.open !== undefined || told.error !== undefined) this.#waiting.shift()?.(told);
    }
    for (const answer of this.#waiting.splice(0)) {
      answer({ connections: this.connections, open: 0, up_bytes: 0, down_bytes: 0, error: "the proxy has ended" });
    }
  }
}

const bound = (bytesPerSecond: number) => (Number.isFinite(bytesPerSecond) ? Math.round(bytesPerSecond) : 0);
