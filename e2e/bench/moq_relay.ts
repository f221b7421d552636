// Another relay to measure beside ours, and the load for it. Both are built when they are asked for, and nothing else of the product
// needs them.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Program } from "../src/process.ts";
import { OVERHEAD_MS, pin, type Report } from "./relay_load.ts";
import { run, type Stage } from "./stage.ts";

/** The version that `bench/moq/Cargo.toml` has the libraries of. */
export const MOQ_RELAY_VERSION = "0.17.10";

const ROOT = resolve(import.meta.dirname, "../..");
/** Its own folder: `make clean` takes it away with all others. */
const FOLDER = join(ROOT, "target/moq");
/** As the product's own release build, not as `cargo install` would have it by itself. */
const PROFILE = { CARGO_PROFILE_RELEASE_LTO: "thin", CARGO_PROFILE_RELEASE_STRIP: "debuginfo" };
const BUILD_TIME_MAX_MS = 60 * 60_000;

/** A build that has been made takes no time. */
async function cargo(args: string[]): Promise<void> {
  const env = { ...process.env, ...PROFILE, CARGO_TARGET_DIR: join(FOLDER, "build") };
  await run("nice", ["cargo", ...args], { env, timeout: BUILD_TIME_MAX_MS, maxBuffer: 64 * 1024 * 1024 });
}

/** Makes moq-relay and its load, unless they are there. */
export async function build(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const which = ["moq-relay", "--version", MOQ_RELAY_VERSION, "--no-default-features", "--features", "noq"];
  const install = ["install", ...which, "--root", FOLDER];
  // A mirror of the registry may lack what its lock file names; other versions serve as well.
  await cargo([...install, "--locked"]).catch(() => cargo(install));
  await cargo(["build", "--release", "--locked", "--manifest-path", join(ROOT, "bench/moq/Cargo.toml")]);
}

export interface MoqRelay {
  url: string;
  pid: number;
}

/** Flags of moq-relay. */
export type MoqSettings = Record<string, string>;

/** A moq-relay on the servers' core, with one thread that serves, as ours has. All that `settings` do not say is its own default. */
export async function moqRelay(stage: Stage, settings: MoqSettings): Promise<MoqRelay> {
  const own = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const args = ["--listen=127.0.0.1:0", "--listen-tls-generate=localhost", "--auth-public=**", ...own];
  const env = { TOKIO_WORKER_THREADS: "1", NO_COLOR: "1" };
  const program = new Program("moq-relay", join(FOLDER, "bin/moq-relay"), args, env);
  stage.atEnd(async () => void (await program.end("SIGINT")));
  const [, address] = await program.line(/listening addr=(\S+) kind="quic"/);
  await pin(program.pid);
  return { url: `https://${address}/`, pid: program.pid };
}

export interface MoqLoad {
  viewers: number;
  seconds: number;
  "warm-up": number;
  rate: number;
  "chunk-bytes": number;
  "key-interval": number;
}

/** The fields of `moq_load`'s report: some of those of `relay_load`. */
export type MoqReport = Pick<
  Report,
  "chunks_due" | "chunks_delivered" | "missing" | "disorder" | "latency_ms" | "relay_us_per_chunk" | "load_cpu_seconds"
>;

/** Puts load on it. */
export async function moqLoad(relay: MoqRelay, options: MoqLoad, loadCore: string): Promise<MoqReport> {
  const flags = { relay: relay.url, "relay-pid": relay.pid, ...options };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const command = ["-c", loadCore, join(FOLDER, "build/release/moq_load"), ...args];
  const { stdout } = await run("taskset", command, { timeout: options.seconds * 1000 + OVERHEAD_MS });
  return JSON.parse(stdout) as MoqReport;
}
