// CPU time of processes with all their descendants, from Linux' /proc (proc(5)).
import { readdirSync, readFileSync } from "node:fs";

/** The unit of times in /proc: user space is shown 100 ticks a second on every machine. */
const TICK_MS = 10;

interface ProcessStat {
  parent: number;
  name: string;
  /** User and system time, with that of children that have ended and were waited for. */
  cpuMs: number;
}

function readProcesses(): Map<number, ProcessStat> {
  const processes = new Map<number, ProcessStat>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch {
      continue; // It has ended since it was listed.
    }
    // The name may hold blanks and brackets itself.
    const nameEnd = stat.lastIndexOf(")");
    const fields = stat.slice(nameEnd + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const name = stat.slice(stat.indexOf("(") + 1, nameEnd);
    processes.set(pid, { parent: Number(fields[1]), name, cpuMs: ticks * TICK_MS });
  }
  return processes;
}

function descendants(processes: Map<number, ProcessStat>, root: number): number[] {
  const pids = [root];
  for (const pid of pids) {
    for (const [child, { parent }] of processes) if (parent === pid) pids.push(child);
  }
  return pids;
}

/** CPU time of a process and all that it started. */
export function cpuMs(root: number): number {
  const processes = readProcesses();
  return descendants(processes, root).reduce((sum, pid) => sum + (processes.get(pid)?.cpuMs ?? 0), 0);
}

/** The processes of a tree by name, each name once. */
export function namesOfTree(root: number): string[] {
  const processes = readProcesses();
  return [...new Set(descendants(processes, root).map((pid) => processes.get(pid)?.name ?? "?"))];
}

/** Processes that this one has started and that still run. */
export function ownChildren(): number[] {
  return [...readProcesses()].filter(([, { parent }]) => parent === process.pid).map(([pid]) => pid);
}

/** Time that all cores together were not idle, since the machine started. */
export function machineBusyMs(): number {
  const [, user, nice, system, , , irq, softirq, steal] =
    readFileSync("/proc/stat", "utf8").split("\n")[0]?.split(/\s+/).map(Number) ?? [];
  return [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * TICK_MS;
}

/** Reads how much of a core each tree uses while `body` runs, as shares: 0.5 is half a core. */
export async function coresUsed<Name extends string>(
  roots: Record<Name, number>,
  body: () => Promise<void>,
): Promise<Record<Name, number>> {
  const names = Object.keys(roots) as Name[];
  const begin = performance.now();
  const before = names.map((name) => cpuMs(roots[name]));
  await body();
  const elapsedMs = performance.now() - begin;
  const shares = names.map((name, n) => [name, (cpuMs(roots[name]) - (before[n] ?? 0)) / elapsedMs]);
  return Object.fromEntries(shares) as Record<Name, number>;
}
