// The real servers on free ports of loopback: one directory and some relays, each ended by its own id.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Program } from "./process.ts";

const run = promisify(execFile);

/** Where the binaries under test are. */
export const BINARIES = resolve(process.env.BINARIES ?? join(import.meta.dirname, "../../target/debug"));

const READY_TIME_MAX_MS = 15_000;

/** Time between two of the operator's calls while something is waited for: the directory takes 300 a minute from one address. */
const OPERATORS_CALL_INTERVAL_MS = 200;

export interface Server {
  program: Program;
  port: number;
  internalPort: number;
}

export interface Relay extends Server {
  name: string;
}

export interface SystemOptions {
  relays?: number;
  /** Where broadcasters and viewers are told to reach a relay, when that is not its own port: for a proxy before it. */
  publicPort?: (relayName: string, port: number) => Promise<number>;
  /** The same for WebTransport. Without it, relays behind a proxy offer none, as that would lead past the proxy. */
  publicUdpPort?: (relayName: string, port: number) => Promise<number>;
  /** Relays listen on all addresses of the machine, not on its loopback alone; they are told of by that as ever. */
  everywhere?: boolean;
  relayFlags?: string[];
  directoryFlags?: string[];
  /** What all servers log (RUST_LOG). */
  log?: string;
  /** Relays join with tokens of one use each, not with the secret. */
  joinTokens?: boolean;
}

export class System {
  readonly #folder: string;
  /** What relays may join with. */
  readonly joinSecret = randomBytes(16).toString("hex");
  /** The join tokens that were made. */
  readonly joinTokens: string[] = [];
  readonly #others: Program[] = [];
  readonly #env: NodeJS.ProcessEnv;
  #options: SystemOptions = {};
  readonly relays: Relay[] = [];
  directory!: Server;

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
  }

  static async start(options: SystemOptions = {}): Promise<System> {
    const env = options.log === undefined ? {} : { RUST_LOG: options.log };
    const system = new System(await mkdtemp(join(tmpdir(), "dead-streaming-")), env);
    try {
      system.#options = options;
      system.directory = await system.#startDirectory("127.0.0.1:0");
      for (let n = 1; n <= (options.relays ?? 2); n++) await system.startRelay(`relay-${n}`, options);
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  /** The address of the pages and the API. */
  get url(): string {
    return `http://127.0.0.1:${this.directory.port}`;
  }

  /** Where a server keeps what outlives it. */
  dataDir(name: string): string {
    return join(this.#folder, name);
  }

  /** Runs a subcommand of the directory, as its operator does; gives what it prints. */
  async operator(...command: string[]): Promise<string> {
    const where = ["--data-dir", this.dataDir("directory"), "--internal-listen", this.#internal()];
    const { stdout } = await run(join(BINARIES, "directory"), [...command, ...where], { env: process.env });
    return stdout.trim();
  }

  /** Kills the directory and starts it again where it was; `forgetting` all that it kept but the key that it signs with. */
  async restartDirectory({ forgetting = false } = {}): Promise<void> {
    await this.directory.program.end("SIGKILL");
    const folder = this.dataDir("directory");
    for (const name of forgetting ? await readdir(folder) : []) {
      if (name !== "ticket-key.der") await rm(join(folder, name), { recursive: true });
    }
    this.directory = await this.#startDirectory(`127.0.0.1:${this.directory.port}`);
  }

  /** Everything that the servers and broadcasters have printed. */
  get output(): string {
    const programs = [this.directory.program, ...this.relays.map(({ program }) => program), ...this.#others];
    return programs.map(({ output }) => output).join("\n");
  }

  async startRelay(name: string, options: SystemOptions = {}): Promise<Relay> {
    const flags = ["--name", name, "--directory", this.url, "--data-dir", this.dataDir(name)];
    const joinWith: NodeJS.ProcessEnv = options.joinTokens
      ? { JOIN_TOKEN: await this.#newJoinToken() }
      : { JOIN_SECRET: this.joinSecret };
    if (options.publicPort) {
      // The public address must be known before the relay starts, so its own port is chosen first.
      const port = await freePort();
      const publicPort = await options.publicPort(name, port);
      flags.push("--listen", `127.0.0.1:${port}`, "--public-url", `ws://127.0.0.1:${publicPort}/ws`);
    } else flags.push("--listen", options.everywhere ? "0.0.0.0:0" : "127.0.0.1:0");
    if (options.publicUdpPort) {
      const port = await freeUdpPort();
      const publicPort = await options.publicUdpPort(name, port);
      flags.push("--webtransport-listen", `127.0.0.1:${port}`);
      flags.push("--webtransport-url", `https://127.0.0.1:${publicPort}/wt`);
    } else if (options.publicPort) flags.push("--no-webtransport");
    const { relayFlags = [] } = options;
    // A test that ends has no time for streams that have nowhere left to go.
    if (!relayFlags.includes("--drain-seconds")) flags.push("--drain-seconds", "1");
    const relay = { name, ...(await this.#server("relay", [...flags, ...relayFlags], joinWith)) };
    this.relays.push(relay);
    await this.#getsWork(name);
    return relay;
  }

  /** Starts `broadcast` and waits until it is live. */
  async broadcast(flags: string[], env: NodeJS.ProcessEnv = {}): Promise<{ program: Program; link: string }> {
    const command = join(BINARIES, "broadcast");
    const program = new Program("broadcast", command, ["--directory", this.url, ...flags], { ...this.#env, ...env });
    this.#others.push(program);
    const [link] = await program.line(/^http\S+/m);
    return { program, link };
  }

  /** Ends everything; what can't end cleanly is an error. */
  async stop(): Promise<void> {
    const problems: string[] = [];
    const end = async (name: string, program: Program) => {
      if (!program.running) return;
      const ended = await program.end();
      if (ended.killed || ended.code !== 0) {
        problems.push(`${name} ended with ${JSON.stringify(ended)}:\n${program.output.slice(-2000)}`);
      }
    };
    for (const program of this.#others.reverse()) await end("broadcast", program);
    for (const relay of this.relays) await end(relay.name, relay.program);
    if (this.directory) await end("directory", this.directory.program);
    await rm(this.#folder, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  async #startDirectory(listen: string): Promise<Server> {
    const { joinTokens, directoryFlags = [] } = this.#options;
    const joinWith: NodeJS.ProcessEnv = joinTokens ? {} : { JOIN_SECRET: this.joinSecret };
    const flags = ["--listen", listen, "--data-dir", this.dataDir("directory"), ...directoryFlags];
    return await this.#server("directory", flags, joinWith);
  }

  async #newJoinToken(): Promise<string> {
    const token = await this.operator("relay-token");
    this.joinTokens.push(token);
    return token;
  }

  #internal(): string {
    return `127.0.0.1:${this.directory.internalPort}`;
  }

  /** Waits until the directory has found a relay at its public address. */
  async #getsWork(name: string): Promise<void> {
    const token = (await readFile(join(this.dataDir("directory"), "operator-token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${token}` };
    const deadline = Date.now() + READY_TIME_MAX_MS;
    for (;;) {
      const answer = await fetch(`http://${this.#internal()}/operator/relays`, { headers });
      const { relays } = (await answer.json()) as { relays: { name: string; state: string }[] };
      if (relays.some((relay) => relay.name === name && relay.state === "ready")) return;
      if (Date.now() > deadline) throw new Error(`${name} gets no work: ${JSON.stringify(relays)}`);
      await new Promise((resolve) => setTimeout(resolve, OPERATORS_CALL_INTERVAL_MS));
    }
  }

  async #server(binary: string, flags: string[], joinWith: NodeJS.ProcessEnv): Promise<Server> {
    const program = new Program(
      binary,
      join(BINARIES, binary),
      [...flags, "--internal-listen", "127.0.0.1:0", "--log-format", "json"],
      { ...this.#env, ...joinWith },
    );
    const [, port] = await program.line(/"listen":"[^"]*:(\d+)"/);
    const [, internalPort] = await program.line(/"internal_listen":"[^"]*:(\d+)"/);
    const server = { program, port: Number(port), internalPort: Number(internalPort) };
    const deadline = Date.now() + READY_TIME_MAX_MS;
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${server.internalPort}/readyz`).catch(() => null);
      if (answer?.ok) return server;
      if (Date.now() > deadline) throw new Error(`${binary} is not ready:\n${program.output.slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The same for UDP. */
async function freeUdpPort(): Promise<number> {
  const { createSocket } = await import("node:dgram");
  return await new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.on("error", reject);
    socket.bind(0, "127.0.0.1", () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
