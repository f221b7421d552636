// A program under test: started with its output kept, waited for by a line of that output, ended by its own id.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** How long a program may take to say what is waited for; generous, since machines under test are busy. */
const LINE_TIME_MAX_MS = 30_000;
/** How long a program may take to end after SIGTERM before it is killed, which fails the test. */
const END_TIME_MAX_MS = 15_000;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Whether it had to be killed. */
  killed: boolean;
}

export class Program {
  /** All that it printed, both outputs in order of arrival. */
  output = "";
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<unknown>;
  #listeners = new Set<() => void>();

  constructor(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    this.#name = name;
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    const keep = (bytes: Buffer) => {
      this.output += bytes.toString();
      for (const listener of this.#listeners) listener();
    };
    this.#child.stdout?.on("data", keep);
    this.#child.stderr?.on("data", keep);
    this.#child.on("error", (error) => keep(Buffer.from(`${name} can't be started: ${error.message}\n`)));
    this.#exited = Promise.race([once(this.#child, "exit"), once(this.#child, "error")]).then(() => keep(Buffer.of()));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#name} was not started`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first match of `pattern` in the output, waited for. */
  async line(pattern: RegExp, timeMaxMs = LINE_TIME_MAX_MS): Promise<RegExpExecArray> {
    return await new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.output);
        if (match) finish(() => resolve(match));
        else if (!this.running) finish(() => reject(this.#failure(`ended before it printed ${pattern}`)));
      };
      const timer = setTimeout(() => finish(() => reject(this.#failure(`did not print ${pattern}`))), timeMaxMs);
      const finish = (then: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        then();
      };
      this.#listeners.add(look);
      look();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to end and waits until it has. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    let killed = false;
    if (this.running) {
      this.#child.kill(signal);
      const timer = setTimeout(() => {
        killed = true;
        this.#child.kill("SIGKILL");
      }, END_TIME_MAX_MS);
      await this.#exited;
      clearTimeout(timer);
    }
    return { code: this.#child.exitCode, signal: this.#child.signalCode, killed };
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what}; its output:\n${this.output.slice(-4000)}`);
  }
}
