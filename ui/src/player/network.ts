// What the machine knows of its network: whether there is one, and the moments in which a connection may be dead without a word,
// as after a sleep or a change of network.

/** How often the clocks are compared. */
const LOOK_MS = 1000;
/** The wall clock went on by this much more than the time that was waited for: the machine slept. Short enough for a lid that was
 * closed for a moment; timers that a browser holds back in hidden pages are no sleep, but as good a reason to look. */
export const SLEPT_MS = 10_000;

export type NetworkEvent =
  | { kind: "offline" }
  | { kind: "online" }
  /** `missedMs` went by on the wall that timers know nothing of. */
  | { kind: "woke"; missedMs: number };

export interface Network {
  readonly online: boolean;
  /** Calls until `signal` aborts. */
  watch(listener: (event: NetworkEvent) => void, signal: AbortSignal): void;
}

/** The network of the page's machine. */
export function machineNetwork(): Network {
  return {
    get online() {
      // Only a clear no counts: not every engine knows.
      return globalThis.navigator?.onLine !== false;
    },
    watch(listener, signal) {
      if (signal.aborted) return;
      const during = { signal };
      globalThis.addEventListener?.("offline", () => listener({ kind: "offline" }), during);
      globalThis.addEventListener?.("online", () => listener({ kind: "online" }), during);
      let wallMs = Date.now();
      let timerMs = performance.now();
      const timer = setInterval(() => {
        const wentBy = Date.now() - wallMs;
        const missedMs = Math.max(0, wentBy - (performance.now() - timerMs));
        wallMs = Date.now();
        timerMs = performance.now();
        if (wentBy > LOOK_MS + SLEPT_MS) listener({ kind: "woke", missedMs });
      }, LOOK_MS);
      signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    },
  };
}
