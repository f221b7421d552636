// A share of some cores for a process, enforced by the kernel: a quarter of a core is a stand-in for a small machine, and a quarter of
// each of two cores, beside a load that has the rest of both, is one for two cores.
import { execFile } from "node:child_process";
import { access, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const MOUNT = "/sys/fs/cgroup";

/** How often the share is dealt out: often enough that whoever has used it up waits for a few milliseconds, not for most of 100. */
const PERIOD_US = 10_000;

/** Where groups of threads are made, and how their share is written. */
interface Hierarchy {
  /** The folder that the groups are made in. */
  root: string;
  /** The file of a group that takes threads. */
  threads: string;
  /** Prepares the folder of a group's parent, which holds `pid` meanwhile. */
  open: (parent: string, pid: number) => Promise<void>;
  /** Prepares a group. */
  share: (group: string, quotaUs: number) => Promise<void>;
  /** Takes `pid` back. */
  close: (pid: number) => Promise<void>;
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** cgroup v1: threads of one process may be in different groups. */
const versionOne: Hierarchy = {
  root: join(MOUNT, "cpu"),
  threads: "tasks",
  open: async () => {},
  share: async (group, quotaUs) => {
    await writeFile(join(group, "cpu.cfs_period_us"), String(PERIOD_US));
    await writeFile(join(group, "cpu.cfs_quota_us"), String(quotaUs));
  },
  close: async (pid) => {
    for (const thread of await threadsOf(pid)) await writeFile(join(MOUNT, "cpu", "tasks"), String(thread.id));
  },
};

/** cgroup v2: a process is in one group, and its threads in "threaded" ones below. */
const versionTwo: Hierarchy = {
  root: MOUNT,
  threads: "cgroup.threads",
  open: async (parent, pid) => {
    await writeFile(join(MOUNT, "cgroup.subtree_control"), "+cpu");
    await writeFile(join(parent, "cgroup.procs"), String(pid));
  },
  share: async (group, quotaUs) => {
    await writeFile(join(group, "cgroup.type"), "threaded");
    await writeFile(join(group, "..", "cgroup.subtree_control"), "+cpu");
    await writeFile(join(group, "cpu.max"), `${quotaUs} ${PERIOD_US}`);
  },
  close: async (pid) => await writeFile(join(MOUNT, "cgroup.procs"), String(pid)),
};

interface Thread {
  id: number;
  /** Its name without the number at its end: threads that do the same. */
  kind: string;
}

async function threadsOf(pid: number): Promise<Thread[]> {
  const threads: Thread[] = [];
  for (const entry of await readdir(`/proc/${pid}/task`)) {
    const name = await readFile(`/proc/${pid}/task/${entry}/comm`, "utf8").catch(() => null);
    if (name !== null) threads.push({ id: Number(entry), kind: name.trim().replace(/\d+$/, "") });
  }
  return threads;
}

/** Which of `cores` each thread gets: those that do the same are dealt out evenly. */
export function deal<T extends { kind: string }>(threads: T[], cores: number[]): Map<T, number> {
  const dealt = new Map<string, number>();
  return new Map(
    threads.map((thread) => {
      const turn = dealt.get(thread.kind) ?? 0;
      dealt.set(thread.kind, turn + 1);
      return [thread, cores[turn % cores.length] ?? 0];
    }),
  );
}

async function hierarchy(): Promise<Hierarchy | null> {
  if (await isThere(join(versionOne.root, "cpu.cfs_quota_us"))) return versionOne;
  const controllers = await readFile(join(MOUNT, "cgroup.controllers"), "utf8").catch(() => "");
  return controllers.split(/\s+/).includes("cpu") ? versionTwo : null;
}

export class CpuShare {
  readonly #hierarchy: Hierarchy;
  readonly #pid: number;
  readonly #folder: string;
  readonly #cores: number[];

  private constructor(o: { hierarchy: Hierarchy; pid: number; cores: number[] }) {
    this.#hierarchy = o.hierarchy;
    this.#pid = o.pid;
    this.#cores = o.cores;
    this.#folder = join(o.hierarchy.root, `dead-streaming-bench-${process.pid}-${o.pid}`);
  }

  /**
   * Gives the threads of `pid` a share of each of `cores` (0.25: a quarter of it) until it is lifted; those that do the same work are
   * dealt out evenly, and stay where they are. Gives the reason, for people, where the machine has no such thing.
   */
  static async of(pid: number, share: number, cores: number[]): Promise<CpuShare | string> {
    const found = await hierarchy();
    if (!found) return "this machine has no cgroups that limit CPU time";
    const own = new CpuShare({ hierarchy: found, pid, cores });
    try {
      await own.#begin(share);
      return own;
    } catch (error) {
      await own.lift();
      return `cgroups can't be used here: ${error instanceof Error ? error.message : error}`;
    }
  }

  /** Gives the process all of the machine's time again; its threads stay on their cores. */
  async lift(): Promise<void> {
    if (await isThere(`/proc/${this.#pid}`)) await this.#hierarchy.close(this.#pid).catch(() => {});
    for (const core of this.#cores) await rmdir(this.#group(core)).catch(() => {});
    await rmdir(this.#folder).catch(() => {});
  }

  #group(core: number): string {
    return join(this.#folder, `core-${core}`);
  }

  async #begin(share: number): Promise<void> {
    await mkdir(this.#folder);
    await this.#hierarchy.open(this.#folder, this.#pid);
    for (const core of this.#cores) {
      await mkdir(this.#group(core));
      await this.#hierarchy.share(this.#group(core), share * PERIOD_US);
    }
    for (const [thread, core] of deal(await threadsOf(this.#pid), this.#cores)) {
      await writeFile(join(this.#group(core), this.#hierarchy.threads), String(thread.id));
      await run("taskset", ["-c", "-p", String(core), String(thread.id)]);
    }
  }
}
