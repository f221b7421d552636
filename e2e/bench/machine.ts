// The machine that a measurement was made on, in words.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem } from "node:os";
import { BINARIES } from "../src/system.ts";
import { cpuMs, machineBusyMs } from "./cpu.ts";
import type { Around, Build } from "./figure.ts";

/** The first line that a command prints, or nothing where it can't be run. */
function firstLine(command: string, args: string[]): string {
  try {
    const output = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return output.split("\n")[0]?.trim() ?? "";
  } catch {
    return "not there";
  }
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}

export function describeMachine(): Record<string, string> {
  return {
    Processor: `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "unknown"} (${arch()}), no graphics card`,
    Memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    System: `${systemName()}, Linux ${release()}`,
    Chromium: firstLine(process.env.CHROMIUM ?? "/usr/bin/chromium", ["--version"]).replace(/^Chromium /, ""),
    WebKitGTK: firstLine("dpkg-query", ["-W", "libwebkit2gtk-4.1-0"]).split(/\s+/)[1] ?? "not there",
    ffmpeg: firstLine("ffmpeg", ["-version"]).replace(/^ffmpeg version (\S+).*/, "$1"),
    Node: process.version,
  };
}

export function describeBuild(): Build {
  const commit = firstLine("git", ["rev-parse", "--short", "HEAD"]);
  const changed = firstLine("git", ["status", "--porcelain", "--untracked-files=no"]) !== "";
  return { commit: changed ? `${commit}+` : commit, optimised: BINARIES.endsWith("release") };
}

/** Runs `body` and tells what the machine did around it. */
export async function withSurroundings<T>(body: () => Promise<T>): Promise<{ result: T; around: Around }> {
  const loadBefore = loadavg()[0] ?? 0;
  const begin = { at: performance.now(), busy: machineBusyMs(), own: cpuMs(process.pid) };
  const result = await body();
  const elapsed = performance.now() - begin.at;
  const others = machineBusyMs() - begin.busy - (cpuMs(process.pid) - begin.own);
  return { result, around: { loadBefore, loadAfter: loadavg()[0] ?? 0, othersCores: Math.max(0, others / elapsed) } };
}
