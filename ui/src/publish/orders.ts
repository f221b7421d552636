// Keeps listening to what the directory wants of this broadcaster, for as long as it broadcasts.
import { ApiFailure, type ApiFailureCode } from "../protocol/api_failure";
import type { Order } from "../protocol/generated/Order";

/** Pauses between two connections: a directory that restarts must not lose more than seconds, nor be overrun. */
const WAIT_MS_MIN = 250;
const WAIT_MS_MAX = 1000;

export interface OrdersOptions {
  /** One connection: calls `onOrder` with each order, resolves or rejects when it is over. */
  listen: (onOrder: (order: Order) => void) => Promise<void>;
  onOrder: (order: Order) => void;
  /** Brings the stream back to a directory that has forgotten it; rejects with `ApiFailure` when it is refused. */
  restore: () => Promise<void>;
  signal: AbortSignal;
  /** In [0, 1). */
  random?: () => number;
}

/** Resolves when the signal aborts, or when the directory wants nothing of such a stream or key: nothing will be ordered then. */
export async function followOrders({
  listen,
  onOrder,
  restore,
  signal,
  random = Math.random,
}: OrdersOptions): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await listen((order) => {
        failures = 0;
        onOrder(order);
      });
    } catch (error) {
      if (error instanceof ApiFailure && error.code === "stream_not_found") {
        const refused = await restore().then(
          () => null,
          (refusal) => refusal,
        );
        if (refused instanceof ApiFailure && isFinal(refused)) return;
        if (refused === null && failures === 0 && !signal.aborted) {
          failures = 1;
          continue;
        }
      } else if (error instanceof ApiFailure && isFinal(error)) return;
    }
    const wait = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** failures);
    failures = Math.min(failures + 1, 16);
    await pause(wait * (0.75 + random() / 2), signal);
  }
}

const FINAL: ReadonlySet<ApiFailureCode> = new Set([
  "unauthorized",
  "stream_not_found",
  "not_found",
  "ticket_invalid",
  "ticket_expired",
]);

function isFinal({ code }: ApiFailure): boolean {
  return FINAL.has(code);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
