// The servers under load: relays with their directories, and the floor that does nothing else than to hand a stream on.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../src/process.ts";
import { BINARIES } from "../src/system.ts";
import { pin, type Target } from "./relay_load.ts";
import { run, type Stage } from "./stage.ts";

/** The relay must not be what turns viewers or streams away; those of a run that has just ended may still be there. */
const RELAY_FLAGS = ["--viewers-max", "20000", "--streams-max", "256"];

export interface Certificate {
  cert: string;
  key: string;
}

export interface RelayOptions {
  /** Threads that serve; one, unless more are asked for. */
  threads?: number;
  tls?: Certificate;
}

/** A relay on the servers' core. */
export async function relay(stage: Stage, { threads = 1, tls }: RelayOptions = {}): Promise<Target> {
  const relayFlags = tls ? [...RELAY_FLAGS, "--tls-cert", tls.cert, "--tls-key", tls.key] : RELAY_FLAGS;
  const directoryFlags = tls ? ["--ca", tls.cert] : [];
  process.env.TOKIO_WORKER_THREADS = String(threads);
  const system = await stage.system({ relays: 1, relayFlags, directoryFlags }).finally(() => {
    delete process.env.TOKIO_WORKER_THREADS;
  });
  const pid = system.relays[0]?.program.pid;
  if (pid === undefined) throw new Error("no relay");
  await pin(pid);
  const flags: Record<string, string> = { directory: system.url };
  if (tls) flags.ca = tls.cert;
  return { name: tls ? "relay, TLS" : "relay", pid, flags };
}

/** The floor on the servers' core. */
export async function floor(stage: Stage): Promise<Target> {
  const program = new Program("fan_out_floor", join(BINARIES, "fan_out_floor"), []);
  stage.atEnd(async () => void (await program.end()));
  const [server] = await program.line(/^ws:\S+/m);
  await pin(program.pid);
  return { name: "floor", pid: program.pid, flags: { server } };
}

/** A certificate of this machine's loopback, for relays alone. */
export async function certificate(stage: Stage): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), "dead-streaming-bench-"));
  stage.atEnd(() => rm(folder, { recursive: true, force: true }));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  // Not an authority: servers may not show one as their own.
  subject.push("-addext", "basicConstraints=critical,CA:FALSE");
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", ["req", ...kind, "-keyout", key, "-out", cert, ...subject]);
  return { cert, key };
}
