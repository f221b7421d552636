// The processes below a process, from /proc (proc(5)).
import { readdir, readFile } from "node:fs/promises";

interface Entry {
  pid: number;
  parent: number;
  name: string;
}

async function entries(): Promise<Entry[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      // The name stands in parentheses and may hold spaces and parentheses itself.
      const match = /^\d+ \((.*)\) (\S) (\d+)/s.exec(stat);
      // A zombie has ended; only its parent has not asked yet.
      return match && match[2] !== "Z" ? [{ pid: Number(pid), parent: Number(match[3]), name: match[1] ?? "" }] : [];
    }),
  );
  return found.flat();
}

/** All processes below `root`, with their names. */
export async function below(root: number): Promise<{ pid: number; name: string }[]> {
  const all = await entries();
  const tree = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of all) {
      if (tree.has(parent) && !tree.has(pid)) {
        tree.add(pid);
        grown = true;
      }
    }
  }
  return all.filter(({ pid }) => tree.has(pid) && pid !== root);
}

/** Whether a process runs (a zombie does not). */
export async function runs(pid: number): Promise<boolean> {
  return (await entries()).some((entry) => entry.pid === pid);
}
