import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import type { Order } from "../protocol/generated/Order";
import { followOrders } from "./orders";

const END: Order = { type: "end", message: "over" };

let restores: number;
let canRestore: boolean;

beforeEach(() => {
  restores = 0;
  canRestore = false;
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

function follow(listen: (onOrder: (order: Order) => void, attempt: number) => Promise<void>) {
  const life = new AbortController();
  const orders: Order[] = [];
  const startedAt: number[] = [];
  const done = followOrders({
    listen: (onOrder) => {
      startedAt.push(Date.now());
      return listen(onOrder, startedAt.length);
    },
    onOrder: (order) => orders.push(order),
    restore: async () => {
      restores += 1;
      if (!canRestore) throw new ApiFailure("stream_not_found", "no");
    },
    signal: life.signal,
    random: () => 0.5,
  });
  const waits = () => startedAt.slice(1).map((at, i) => at - (startedAt[i] ?? 0));
  return { life, orders, waits, startedAt, done };
}

it("comes back less and less often while the directory is away, and at once when it was heard", async () => {
  const { life, waits, orders } = follow(async (onOrder, attempt) => {
    if (attempt === 8) onOrder(END);
    throw new ApiFailure("unreachable", "away");
  });
  await vi.advanceTimersByTimeAsync(6600);
  expect(waits()).toEqual([250, 500, 1000, 1000, 1000, 1000, 1000, 250, 500]);
  expect(orders).toEqual([END]);
  life.abort();
});

it("comes back when the directory ends the answer", async () => {
  const { life, startedAt } = follow(async (onOrder) => onOrder(END));
  await vi.advanceTimersByTimeAsync(1000);
  expect(startedAt.length).toBe(5);
  life.abort();
});

it.each(["unauthorized", "stream_not_found"] as const)("ends when the directory answers %s", async (code) => {
  const { done, startedAt } = follow(async () => {
    throw new ApiFailure(code, "no");
  });
  await done;
  expect(startedAt.length).toBe(1);
});

it("brings the stream back to a directory that has forgotten it, and listens on at once", async () => {
  canRestore = true;
  const { life, startedAt, orders } = follow(async (onOrder, attempt) => {
    if (attempt === 1) throw new ApiFailure("stream_not_found", "who?");
    onOrder(END);
  });
  await vi.advanceTimersByTimeAsync(0);
  expect([restores, startedAt.length, orders.length]).toEqual([1, 2, 1]);
  life.abort();
});

it("does not spin where a stream that was brought back stays unknown", async () => {
  canRestore = true;
  const { life, startedAt } = follow(async () => {
    throw new ApiFailure("stream_not_found", "who?");
  });
  await vi.advanceTimersByTimeAsync(5000);
  expect(startedAt.length).toBeLessThan(10);
  life.abort();
});

it("ends with the broadcast", async () => {
  const { life, done } = follow(async () => {
    throw new ApiFailure("unreachable", "away");
  });
  await vi.advanceTimersByTimeAsync(0);
  life.abort();
  await done;
  expect(vi.getTimerCount()).toBe(0);
});
