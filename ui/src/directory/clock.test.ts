import { expect, it, vi } from "vitest";
import { clockOffset, DirectoryClock } from "./clock";

it("believes the sample with the shortest round trip", () => {
  const samples = [
    { sentMs: 0, receivedMs: 400, serverMs: 5390 },
    { sentMs: 1000, receivedMs: 1010, serverMs: 6005 },
    { sentMs: 2000, receivedMs: 2100, serverMs: 7090 },
  ];
  expect(clockOffset(samples)).toBe(5000);
  expect(clockOffset([])).toBeUndefined();
});

it("goes by this machine's clock until the directory has answered", async () => {
  const away = new DirectoryClock(() => Promise.reject(new Error("away")));
  await away.start();
  expect(away.known).toBe(false);
  expect(Math.abs(away.now() - Date.now())).toBeLessThan(1000);
});

it("tells the directory's time when that differs", async () => {
  const clock = new DirectoryClock(async () => Date.now() + 3_600_000);
  await clock.start();
  expect(clock.known).toBe(true);
  expect(Math.abs(clock.now() - Date.now() - 3_600_000)).toBeLessThan(1000);
});

it("measures at once when it is asked to again, and no more often than before afterwards", async () => {
  vi.useFakeTimers();
  let asked = 0;
  let ahead = 0;
  const clock = new DirectoryClock(async () => {
    asked += 1;
    return Date.now() + ahead;
  });
  await clock.again();
  const once = asked;
  // The machine slept, and its own clock stood still.
  ahead = 3_600_000;
  await clock.again();
  expect(asked).toBe(2 * once);
  expect(Math.abs(clock.now() - Date.now() - ahead)).toBeLessThan(1000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(3 * once);
  vi.useRealTimers();
});
