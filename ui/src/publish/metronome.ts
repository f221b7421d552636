// Ticks from a worker: browsers slow the timers of a page in the background down to one a second or less, and a broadcaster's
// page is in the background whenever it shows another window.

const TICK_MS = 100;

/** Calls `tick` ten times a second until `signal` aborts. */
export function metronome(tick: () => void, signal: AbortSignal): void {
  const worker = new Worker(new URL("./metronome_worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = tick;
  // Where a worker is not to be had, the page's own timer is better than none.
  worker.onerror = () => {
    const timer = setInterval(tick, TICK_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  };
  worker.postMessage(TICK_MS);
  signal.addEventListener("abort", () => worker.terminate(), { once: true });
}
