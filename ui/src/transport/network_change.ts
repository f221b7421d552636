// Tells when the network of this machine may be another one than before: it came, went, or changed its kind.

/** Chromium has it for pages; others lack it. */
interface Connection extends EventTarget {
  addEventListener(type: "change", listener: () => void, options: { signal: AbortSignal }): void;
}

/** Calls `changed` with each change until `signal` aborts. */
export function onNetworkChange(changed: () => void, signal: AbortSignal): void {
  for (const event of ["online", "offline"] as const) window.addEventListener(event, changed, { signal });
  (navigator as { connection?: Connection }).connection?.addEventListener("change", changed, { signal });
}
